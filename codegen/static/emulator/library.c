/* The functions that a compiler may call although nothing here is written with them. */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    volatile unsigned char *target = to;
    const unsigned char *source = from;
    for (size_t i = 0; i < size; i++) {
        target[i] = source[i];
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    volatile unsigned char *target = to;
    for (size_t i = 0; i < size; i++) {
        target[i] = (unsigned char)value;
    }
    return to;
}
