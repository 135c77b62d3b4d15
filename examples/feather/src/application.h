/* What the two programs of this example have in common: a clock, the camera, the console and the lamps. */
#ifndef APPLICATION_H
#define APPLICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "offramp.h"

/* Starts the clock and the camera. False, and a line on the console, if the camera does not answer. */
bool application_start(void);

/* A free-running count of the core's cycles that goes on while the core sleeps, for offramp_options_t.clock. The core's
 * own cycle counter is no such clock: it may stand still in sleep. */
uint32_t application_cycles(void);

/* What it advances by at once: the timer counts at half the core's clock. */
#define APPLICATION_CLOCK_STEP 2u

/* Takes a picture and loads it as it comes in, row by row, into the input of the model. OFFRAMP_NOT_READY if the camera
 * has not delivered all of it in time; else what offramp_load says. */
offramp_status_t application_load_picture(void);

/* The answer, or what went wrong: a line on the console, and a lamp. */
void application_report(offramp_status_t status, const offramp_result_t *result);

#endif
