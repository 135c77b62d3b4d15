/* The platform without an SDK, on the emulator. */
#include "offramp_model.h"
#include "offramp_platform.h"
#include "semihosting.h"

#define ALL_QUADRANTS ((1u << OFFRAMP_DEVICE_QUADRANTS) - 1u)

void offramp_platform_start(void)
{
}

void offramp_platform_power_on(uint32_t quadrants)
{
    offramp_reg_write(OFFRAMP_GCFR_RESET, ALL_QUADRANTS);
    offramp_reg_write(OFFRAMP_GCFR_MASK, quadrants);
    offramp_reg_write(OFFRAMP_GCFR_POWER, quadrants);
    offramp_reg_write(OFFRAMP_GCFR_ISOLATE, ALL_QUADRANTS & ~quadrants);
    offramp_reg_write(OFFRAMP_GCFR_RESET, 0);
}

void offramp_platform_power_off(void)
{
    offramp_reg_write(OFFRAMP_GCFR_RESET, ALL_QUADRANTS);
    offramp_reg_write(OFFRAMP_GCFR_ISOLATE, ALL_QUADRANTS);
    offramp_reg_write(OFFRAMP_GCFR_POWER, 0);
    offramp_reg_write(OFFRAMP_GCFR_MASK, 0);
    offramp_reg_write(OFFRAMP_GCFR_RESET, 0);
}

bool offramp_platform_wait(uint32_t address, uint32_t mask, uint32_t cycles)
{
    for (uint32_t i = 0; i < cycles; i++) {
        if ((offramp_reg_read(address) & mask) != 0u) {
            return true;
        }
    }
    return false;
}

/* The emulator has no notion of time. */
void offramp_platform_timer_start(void)
{
}

uint32_t offramp_platform_timer_stop(void)
{
    return 0;
}

void offramp_platform_print(const char *text)
{
    semihosting_print(text);
}
