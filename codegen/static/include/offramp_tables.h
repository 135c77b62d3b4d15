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
    uint32_t step; /* bytes from word to word; 0 for a FIFO port */
#if OFFRAMP_INPUT_CHW
    uint32_t offsets[1]; /* of the channel's first pixel in the input */
#else
    uint32_t offsets[4]; /* the same of the channels in the four byte lanes */
    uint32_t mask;       /* the lanes that have a channel; the others are 0 in the accelerator, their offset is any */
#endif
#ifdef OFFRAMP_INPUT_FIFO
    uint32_t full; /* bit of FIFO_STAT: the port takes no word now */
#endif
} offramp_input_run_t;

/* Register writes one after the other, as code: faster than a table of them, and no larger. */
typedef struct {
    void (*start)(void);
    void (*stop)(void);            /* once it is done: memories are accessible again, and the next start is an edge */
    void (*advance)(void);         /* from this stage to the next; null for the last */
    void (*restore)(void);         /* from this stage back to stage 0; null for stage 0 */
    void (*read)(int32_t *logits); /* OFFRAMP_CLASSES of them */
    uint32_t done_address;         /* CTRL of the master quadrant */
    uint32_t cycles;               /* modelled accelerator clock cycles */
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
} offramp_tables_t;

extern const offramp_tables_t offramp_tables;
extern const offramp_input_run_t offramp_input_runs[]; /* OFFRAMP_INPUT_RUNS of them */
extern const offramp_stage_t offramp_stages[]; /* OFFRAMP_STAGES of them */

/* Known answers, for self-tests: inputs, the stage that answers, and its logits. */
typedef struct {
    const int8_t *input;
    uint32_t stage;
    int32_t logits[OFFRAMP_CLASSES];
} offramp_known_answer_t;

extern const offramp_known_answer_t offramp_known_answers[]; /* ends with an entry whose input is null */

#endif
