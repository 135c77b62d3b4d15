/* Calls to the emulator, as Arm's "Semihosting for AArch32 and AArch64" numbers them. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdbool.h>
#include <stdint.h>

#define SEMIHOSTING_FINISHED 0x20026u /* ADP_Stopped_ApplicationExit */
#define SEMIHOSTING_FAULT 0x20023u    /* ADP_Stopped_RunTimeErrorUnknown */

/* Opens a stream of the emulator: "input" to read, "results" to write. A handle, or -1. */
int32_t semihosting_open(const char *name, bool write);

/* All `size` bytes or none: false at the end of the stream. */
bool semihosting_read(int32_t handle, void *to, uint32_t size);
bool semihosting_write(int32_t handle, const void *from, uint32_t size);

/* So many bytes of a file from a place on: how many there were, or -1. */
int32_t semihosting_read_at(int32_t handle, uint32_t offset, void *to, uint32_t size);

void semihosting_print(const char *text);

void semihosting_exit(uint32_t reason, int status);

#endif
