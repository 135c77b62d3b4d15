/* All that the questions need from the machine, apart from its bus: one implementation for the vendor's SDK
 * (src/platform_msdk.c), one for the virtual board (emulator/platform_emulator.c). */
#ifndef SILICON_PLATFORM_H
#define SILICON_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

/* Clocks, console and cycle counter, once, before anything else. */
void silicon_platform_start(void);

/* The board that answers; no spaces. */
const char *silicon_platform_board(void);

/* The clock of the accelerator: the core's, divided by SILICON_CLOCK_RATIO. */
void silicon_platform_clock(bool on);

/* Cycles of the core, counted through 2^32; always the same where there is no counter. */
uint32_t silicon_platform_cycles(void);

void silicon_platform_wait(uint32_t microseconds);

/* Accesses since the last call that did not succeed, and the word for that in the log. */
uint32_t silicon_platform_faults(void);
const char *silicon_platform_fault_word(void);

/* Console: text that ends in a zero byte. */
void silicon_platform_print(const char *text);

#endif
