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
    uint32_t answer;
    uint32_t class_index;
    const void *result; /* of that stage, as offramp_output copies it */
    uint32_t bytes;     /* of the result */
} offramp_sample_t;

#ifdef __cplusplus
}
#endif

#endif
