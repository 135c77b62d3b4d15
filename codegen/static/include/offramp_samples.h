/* Inputs with known answers, which an image can carry. */
#ifndef OFFRAMP_SAMPLES_H
#define OFFRAMP_SAMPLES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t model;
    const int8_t *input; /* as OFFRAMP_CHW; null behind the last sample */
    uint32_t stage;      /* that answers */
    uint32_t class_index;
    const int32_t *values; /* of the stage's result, in the order channel, row, column */
    uint32_t count;        /* of them */
} offramp_sample_t;

#ifdef __cplusplus
}
#endif

#endif
