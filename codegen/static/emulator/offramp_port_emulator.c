/* The port without an SDK, on the emulator. */
#include "offramp_port.h"

#include "board_device.h"
#include "semihosting.h"

void offramp_port_power_on(uint32_t quadrants, uint32_t all, uint32_t source, uint32_t divider)
{
    (void)source; /* the emulator's accelerator has the clock that the device file says */
    (void)divider;
    offramp_reg_write(BOARD_GCFR_RESET, all);
    offramp_reg_write(BOARD_GCFR_MASK, quadrants);
    offramp_reg_write(BOARD_GCFR_POWER, quadrants);
    offramp_reg_write(BOARD_GCFR_ISOLATE, all & ~quadrants);
    offramp_reg_write(BOARD_GCFR_RESET, 0u);
}

void offramp_port_power_off(uint32_t all, bool keep)
{
    offramp_reg_write(BOARD_GCFR_RESET, all);
    offramp_reg_write(BOARD_GCFR_ISOLATE, all);
    offramp_reg_write(BOARD_GCFR_POWER, 0u);
    if (!keep) {
        offramp_reg_write(BOARD_GCFR_MASK, 0u);
    }
    offramp_reg_write(BOARD_GCFR_RESET, 0u);
}

void offramp_port_clock(bool on)
{
    (void)on;
}

void offramp_port_interrupt(bool on)
{
    (void)on; /* the program of the emulator polls */
}

/* The emulator has no notion of time: images are opened without a clock. */
uint32_t offramp_port_cycles(void)
{
    return 0u;
}

void offramp_port_start(uint32_t core_hz)
{
    (void)core_hz;
}

void offramp_port_print(const char *text)
{
    semihosting_print(text);
}
