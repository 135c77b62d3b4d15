/* The shape of the generated tables in offramp_model.c. */
#ifndef OFFRAMP_TABLES_H
#define OFFRAMP_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "offramp_confidence.h"
#include "offramp_model.h"

typedef struct {
    uint32_t address;
    uint32_t value;
} offramp_write_t;

typedef struct {
    const offramp_write_t *writes;
    uint32_t count;
} offramp_writes_t;

typedef struct {
    uint32_t address; /* of the first kernel column, as express loading counts */
    const uint32_t *words;
    uint32_t count;
} offramp_chunk_t;

typedef struct {
    uint32_t address;
    const int8_t *values;
    uint32_t count;
} offramp_bias_t;

typedef struct {
    uint32_t address;
    uint16_t lane; /* byte of the word, 0..3 */
    uint16_t bits; /* 8 or 32 */
} offramp_logit_t;

typedef struct {
    uint32_t address;
    uint32_t step;       /* bytes from word to word; 0 for a FIFO port */
    int16_t channels[4]; /* one a byte lane, -1 for none; OFFRAMP_INPUT_CHW: only the first */
#ifdef OFFRAMP_INPUT_FIFO
    uint32_t full; /* bit of FIFO_STAT: the port takes no word now */
#endif
} offramp_input_run_t;

typedef struct {
    offramp_writes_t start;
    offramp_writes_t advance; /* from this stage to the next */
    offramp_writes_t restore; /* from this stage back to stage 0 */
    uint32_t quadrants;       /* bit q: the stage runs in quadrant q */
    uint32_t done_address;    /* CTRL of the master quadrant */
    uint32_t cycles;          /* modelled accelerator clock cycles */
    const offramp_logit_t *logits;
    offramp_measure_t measure;
    uint32_t threshold;
    uint32_t fraction_bits;
    uint32_t temperature_q16;
#ifdef OFFRAMP_INPUT_FIFO
    bool reads_fifo; /* the input is sent once the stage has started */
#endif
} offramp_stage_t;

typedef struct {
    offramp_writes_t init;
    offramp_writes_t configure;
    const offramp_chunk_t *weights;
    uint32_t weight_chunks;
    const offramp_bias_t *biases;
    uint32_t bias_runs;
    const offramp_input_run_t *input;
    uint32_t input_runs;
} offramp_tables_t;

extern const offramp_tables_t offramp_tables;
extern const offramp_stage_t offramp_stages[]; /* OFFRAMP_STAGES of them */

/* Known answers, for self-tests: inputs, the stage that answers, and its logits. */
typedef struct {
    const int8_t *input;
    uint32_t stage;
    int32_t logits[OFFRAMP_CLASSES];
} offramp_known_answer_t;

extern const offramp_known_answer_t offramp_known_answers[]; /* ends with an entry whose input is null */

#endif
