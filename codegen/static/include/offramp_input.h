/* Loading the input: between the runtime and offramp_input.c, not for applications. */
#ifndef OFFRAMP_INPUT_H
#define OFFRAMP_INPUT_H

#include <stdbool.h>
#include <stdint.h>

/* Writes the input to data memory; with OFFRAMP_INPUT_FIFO, remembers where it is. The two forms are those of
 * offramp_load_input and offramp_load_packed. */
void offramp_input_take(const int8_t *chw);
void offramp_input_take_packed(const uint32_t *words);

/* With OFFRAMP_INPUT_FIFO only: sends the input that was taken. All ports get a word in turn. False if they have been
 * full for `polls` looks altogether. */
bool offramp_input_send(uint32_t polls);

#endif
