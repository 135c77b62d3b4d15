/* What every program for the emulator begins with; its vector table names these. */
#ifndef RESET_H
#define RESET_H

#include <stdint.h>

extern uint32_t image_stack[];

/* Sets the variables up, runs main() and ends with its status. */
void reset_handler(void);

/* Ends as a fault. */
void unexpected_exception(void);

#endif
