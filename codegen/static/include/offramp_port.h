/* What the runtime needs from the machine: the bus, which is the same everywhere, and a few functions with one
 * implementation for the vendor's SDK (src/offramp_port_msdk.c) and one for the emulator. */
#ifndef OFFRAMP_PORT_H
#define OFFRAMP_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "offramp_device.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline void offramp_reg_write(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)address = value;
}

static inline uint32_t offramp_reg_read(uint32_t address)
{
    return *(volatile const uint32_t *)(uintptr_t)address;
}

/* A byte write, which sets the kernel column that express loading begins with. */
static inline void offramp_byte_write(uint32_t address, uint8_t value)
{
    *(volatile uint8_t *)(uintptr_t)address = value;
}

/* Four bytes from any address: a single load, which need not be aligned on this core. */
static inline uint32_t offramp_load_word(const uint8_t *bytes)
{
    uint32_t word;
    __builtin_memcpy(&word, bytes, sizeof word);
    return word;
}

/* True if the lock was free and is the caller's now. Safe between tasks and interrupts, and never waits. */
static inline bool offramp_port_try_lock(volatile uint32_t *taken)
{
    return __atomic_exchange_n(taken, 1u, __ATOMIC_ACQUIRE) == 0u;
}

static inline void offramp_port_unlock(volatile uint32_t *taken)
{
    __atomic_store_n(taken, 0u, __ATOMIC_RELEASE);
}

/* Power, reset and clock of the accelerator. Bit q of `quadrants` is quadrant q of `all`; `source` and `divider` are
 * the values of the clock register's fields, the latter as offramp_header_t has it. */
void offramp_port_power_on(uint32_t quadrants, uint32_t all, uint32_t source, uint32_t divider);

/* Power off, of the weight memories too unless `keep`. */
void offramp_port_power_off(uint32_t all, bool keep);

/* The accelerator's clock alone. */
void offramp_port_clock(bool on);

/* The clock's divider for a stage that runs, or for none, where the two may differ. */
#if OFFRAMP_PLL
void offramp_port_run(bool runs);

static inline uint32_t offramp_divider(uint32_t dividers, bool runs)
{
    return (runs ? dividers : dividers ^ (dividers >> 8)) & 0xFFu;
}
#else
static inline void offramp_port_run(bool runs)
{
    (void)runs;
}
#endif

/* The accelerator's interrupt in the interrupt controller; what was pending before it is switched on is dropped. */
void offramp_port_interrupt(bool on);

/* A free-running counter of core cycles. No timer is taken: the core's own cycle counter, which is read and, if it
 * stands still, switched on, never set. */
uint32_t offramp_port_cycles(void);

/* For the demonstration only: the core's clock and cache, once, before anything else; text for the console. `core_hz`:
 * what one of the oscillators gives, divided by a power of two. The SDK's part of it uses SysTick while
 * it waits, and gives it back. */
void offramp_port_start(uint32_t core_hz);
void offramp_port_print(const char *text);

#ifdef __cplusplus
}
#endif

#endif
