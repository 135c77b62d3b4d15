/* Staged inference on the CNN accelerator: the application's interface. */
#ifndef OFFRAMP_H
#define OFFRAMP_H

#include <stdint.h>

#include "offramp_model.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    OFFRAMP_OK = 0,
    OFFRAMP_E_NOT_READY = -1, /* offramp_init, or loading an input, has to come first */
    OFFRAMP_E_TIMEOUT = -2,   /* the accelerator did not finish in time; the next inference starts from scratch, with
                                 OFFRAMP_INPUT_FIFO only after offramp_init has emptied the FIFO */
    OFFRAMP_E_ARGUMENT = -3   /* a null pointer */
};

typedef struct {
    uint32_t class_index; /* of the largest logit; the lowest one of equals */
    uint32_t stage;       /* the stage that gave the answer, from 0; after OFFRAMP_E_TIMEOUT the one that hung */
    uint32_t confidence;  /* in the unit of that stage's measure, see offramp_confidence.h; like class and logits 0
                             after an error */
    int32_t logits[OFFRAMP_CLASSES];
} offramp_result_t;

/* Powers the accelerator up and loads weights and biases of all stages, once. */
int offramp_init(void);

/* Powers the accelerator down. Weights and biases are lost: offramp_init is needed again. */
void offramp_deinit(void);

/* Copies the input, OFFRAMP_INPUT_BYTES values in the order channel, row, column, to the accelerator. Later stages may
 * overwrite it there, so every inference needs it anew.
 * With OFFRAMP_INPUT_FIFO only the pointer is kept: offramp_infer sends the input, once for each stage that reads it, so
 * the buffer must not change until offramp_infer has returned.
 * Any alignment will do; a multiple of four is fastest. */
int offramp_load_input(const int8_t *chw);

/* The same for an input that is packed already: OFFRAMP_INPUT_RUNS times OFFRAMP_INPUT_WORDS words, one run after the
 * other; offramp_model.h says which channels and pixels they hold. This is how the vendor's load_input takes its
 * arrays, and how a camera with a 32-bit pixel format delivers RGB. */
int offramp_load_packed(const uint32_t *words);

/* Runs stage after stage until one is confident enough or the last is done. */
int offramp_infer(offramp_result_t *result);

#ifdef __cplusplus
}
#endif

#endif
