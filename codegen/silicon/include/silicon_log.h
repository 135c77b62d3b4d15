/* The log: numbered lines, each ending in the CRC-32 of all lines so far, so that a change or a gap is noticed. */
#ifndef SILICON_LOG_H
#define SILICON_LOG_H

#include <stdint.h>

/* CRC-32 as zip files have it (polynomial 0xEDB88320). `crc` is 0 at first, then what the last call returned. */
uint32_t silicon_crc(uint32_t crc, uint8_t byte);

/* A line is begun, its words follow, and it is ended. */
void silicon_log_begin(const char *word);
void silicon_log_word(const char *word);
void silicon_log_pair(const char *key, const char *value);
void silicon_log_hex(uint32_t value);
void silicon_log_decimal(const char *key, uint32_t value);
void silicon_log_end(void);

#endif
