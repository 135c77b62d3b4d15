/* The port without an SDK, on the emulator. */
#include "board_device.h"
#include "offramp_port.h"
#include "semihosting.h"

/* Global control registers (MSDK gcr_regs.h): peripheral clock divider and peripheral clocks that are off. */
#define PERIPHERAL_DIVIDER 0x40000018u
#define CNN_DIVIDER_AT 14u
#define CNN_SOURCE_AT 17u
#define CNN_CLOCK_FIELDS (0xFu << CNN_DIVIDER_AT)
#define PERIPHERALS_OFF 0x40000024u
#define CNN_OFF (1u << 25)

/* The core's interrupt controller and cycle counter (Arm DDI 0403, B3.4 and C1.8). */
#define NVIC_ENABLE (0xE000E100u + 4u * (BOARD_CNN_INTERRUPT / 32u))
#define NVIC_DISABLE (0xE000E180u + 4u * (BOARD_CNN_INTERRUPT / 32u))
#define NVIC_CLEAR_PENDING (0xE000E280u + 4u * (BOARD_CNN_INTERRUPT / 32u))
#define NVIC_CNN (1u << (BOARD_CNN_INTERRUPT % 32u))
#define DEBUG_MONITOR 0xE000EDFCu
#define TRACE_ON (1u << 24)
#define TRACE_CONTROL 0xE0001000u
#define COUNTER_ON 1u
#define CYCLE_COUNTER 0xE0001004u

static void set_bits(uint32_t address, uint32_t bits)
{
    uint32_t value = offramp_reg_read(address);
    if ((value & bits) != bits) {
        offramp_reg_write(address, value | bits);
    }
}

void offramp_port_power_on(uint32_t quadrants, uint32_t all, uint32_t source, uint32_t divider)
{
    offramp_reg_write(BOARD_GCFR_RESET, all);
    offramp_reg_write(BOARD_GCFR_MASK, quadrants);
    offramp_reg_write(BOARD_GCFR_POWER, quadrants);
    offramp_reg_write(BOARD_GCFR_ISOLATE, all & ~quadrants);
    offramp_reg_write(BOARD_GCFR_RESET, 0u);
    offramp_reg_write(PERIPHERAL_DIVIDER, (offramp_reg_read(PERIPHERAL_DIVIDER) & ~CNN_CLOCK_FIELDS) |
                                              (divider << CNN_DIVIDER_AT) | (source << CNN_SOURCE_AT));
    offramp_port_clock(true);
}

void offramp_port_power_off(uint32_t all, bool keep)
{
    offramp_port_clock(false);
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
    uint32_t off = offramp_reg_read(PERIPHERALS_OFF);
    offramp_reg_write(PERIPHERALS_OFF, on ? off & ~CNN_OFF : off | CNN_OFF);
}

void offramp_port_interrupt(bool on)
{
    offramp_reg_write(NVIC_DISABLE, NVIC_CNN);
    if (on) {
        offramp_reg_write(NVIC_CLEAR_PENDING, NVIC_CNN);
        offramp_reg_write(NVIC_ENABLE, NVIC_CNN);
    }
}

uint32_t offramp_port_cycles(void)
{
    set_bits(DEBUG_MONITOR, TRACE_ON);
    set_bits(TRACE_CONTROL, COUNTER_ON);
    return offramp_reg_read(CYCLE_COUNTER);
}

/* The emulator's clocks run. */
void offramp_port_start(uint32_t core_hz)
{
    (void)core_hz;
}

void offramp_port_print(const char *text)
{
    semihosting_print(text);
}
