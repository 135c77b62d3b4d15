/* All that the runtime needs from the machine. The bus is the same everywhere; the functions have one implementation
 * for the vendor's SDK (src/platform_msdk.c) and one for the emulator (emulator/platform_emulator.c). */
#ifndef OFFRAMP_PLATFORM_H
#define OFFRAMP_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

static inline void offramp_reg_write(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)address = value;
}

static inline uint32_t offramp_reg_read(uint32_t address)
{
    return *(volatile const uint32_t *)(uintptr_t)address;
}

/* Express loading: a byte write with an odd address sets the kernel column, each 9 bytes that follow fill one. */
static inline void offramp_weights_stream(uint32_t address, const uint32_t *words, uint32_t count)
{
    *(volatile uint8_t *)(uintptr_t)(address | 1u) = 1u;
    for (uint32_t i = 0; i < count; i++) {
        offramp_reg_write(address + 4u * i, words[i]);
    }
}

/* The core's own clock and cache, once, before anything else. */
void offramp_platform_start(void);

/* Power, reset and clock of the accelerator; bit q of `quadrants` is quadrant q. */
void offramp_platform_power_on(uint32_t quadrants);
void offramp_platform_power_off(void);

/* Waits until a bit of `mask` is set at `address`. False if it is not although more than `cycles` cycles of the
 * accelerator's clock have passed. Never waits without bound. */
bool offramp_platform_wait(uint32_t address, uint32_t mask, uint32_t cycles);

/* A stopwatch for one inference: microseconds since the start, 0 where there is no clock. */
void offramp_platform_timer_start(void);
uint32_t offramp_platform_timer_stop(void);

/* Console: text that ends in a zero byte. */
void offramp_platform_print(const char *text);

#endif
