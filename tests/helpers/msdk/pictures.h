#ifndef PICTURES_H
#define PICTURES_H

#include <stdint.h>

#define PICTURE_COLUMNS 64
#define PICTURE_ROWS 64

/* `lines` of it come; `overflows` are added to the driver's count. */
typedef struct {
    const uint8_t *grey;
    unsigned int lines, overflows;
} picture_t;

extern const picture_t pictures[];
extern const unsigned int picture_count;

#endif
