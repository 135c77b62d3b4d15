/* What the core does for a program on the emulator besides starting it. */
#ifndef STARTUP_H
#define STARTUP_H

#include <stdbool.h>
#include <stdint.h>

/* Memory between variables and stack. */
extern uint32_t image_free_start[], image_free_end[];

/* Interrupt handlers. That of the accelerator calls offramp_on_interrupt; a program may have its own of both. */
void cnn_handler(void);
void free_handler(void);

/* The interrupt that nothing on the emulator raises but its host. */
void startup_free_interrupt(bool on);

/* The core's tick, one in a millisecond at 100 MHz: it ends a sleep and has no handler. */
void startup_tick(bool on);

void startup_mask(bool on);
void startup_sleep(void);

#endif
