/* The layout of an image: constant data without a pointer in it, so that one checksum covers everything. Records refer
 * to each other by byte offsets from the header. All fields are 32-bit words, least significant byte first. */
#ifndef OFFRAMP_IMAGE_H
#define OFFRAMP_IMAGE_H

#include <stdint.h>

#include "offramp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OFFRAMP_MAGIC 0x3152464Fu /* "OFR1" */
#define OFFRAMP_FORMAT 1u

/* A condition that the compiler checks, in every version of C. */
#define OFFRAMP_CHECK(name, condition) typedef char offramp_check_##name[(condition) ? 1 : -1]

/* `count` records at byte `at` of the image. */
typedef struct {
    uint32_t at;
    uint32_t count;
} offramp_span_t;

typedef struct {
    uint32_t address;
    uint32_t value;
} offramp_write_t;

/* Registers of neighbouring addresses. */
typedef struct {
    uint32_t address;
    uint32_t count;
} offramp_registers_t;

/* A register that keeps its value as long as the block has power. */
typedef struct {
    uint32_t address;
    uint32_t mask;
    uint32_t value;
} offramp_guard_t;

/* Neighbouring kernel columns of a processor, as express loading takes them. */
typedef struct {
    uint32_t address; /* of the first column as express loading counts: a byte write to address + 1 sets it */
    uint32_t plain;   /* of the same column where columns are read back */
    uint32_t columns;
    offramp_span_t words;
} offramp_chunk_t;

/* Neighbouring words that hold a byte each: biases, or the zeros of an empty rolling buffer. */
typedef struct {
    uint32_t address;
    offramp_span_t bytes;
} offramp_bytes_t;

/* What is written to memories. */
typedef struct {
    offramp_span_t weights; /* chunks */
    offramp_span_t loaded;  /* bytes: to bias memories and, for empty rolling buffers, to data memory */
    offramp_span_t biases;  /* the first of these */
} offramp_contents_t;

/* Words of the input in one data memory instance, or for one FIFO port. */
typedef struct {
    uint32_t address;
    uint32_t step; /* bytes from word to word; 0 for a FIFO port */
    uint32_t full_bit; /* of the FIFO's status: the port takes no word now */
    uint32_t mask; /* bytes of a word that hold a channel; the others are 0 */
    uint32_t channels[4]; /* of a word's bytes, any for one without; with OFFRAMP_INPUT_CHW all are the same */
} offramp_input_run_t;

#define OFFRAMP_INPUT_CHW 1u  /* a word holds four pixels of a channel, not four channels of a pixel */
#define OFFRAMP_INPUT_FIFO 2u /* the input goes through the FIFO while a stage runs */

typedef struct {
    uint32_t channels;
    uint32_t rows;
    uint32_t columns;
    uint32_t flags;
    offramp_span_t runs;
} offramp_input_t;

/* Where a tensor lies: for each channel the address of its first value, the byte in the word added. */
typedef struct {
    uint32_t channels;
    uint32_t rows;
    uint32_t columns;
    uint32_t bits;
    uint32_t step; /* bytes from pixel to pixel */
    offramp_span_t places;
} offramp_tensor_t;

/* What is written each time before a stage runs, from the file beside the image. `words.at` of a chunk means nothing: the
 * words of all chunks are neighbours in the file. */
typedef struct {
    offramp_span_t chunks; /* none in the first stage of a model */
    uint32_t at;           /* byte of the file, a multiple of OFFRAMP_FETCH_BYTES */
    uint32_t words;
    uint32_t crc; /* CRC-32 (ISO-HDLC) of the words; 0 of none */
} offramp_outside_t;

#define OFFRAMP_STAGE_READS_FIFO 1u
#define OFFRAMP_STAGE_LAST 2u /* of its model */
#define OFFRAMP_STAGE_HARDWARE 4u /* the accelerator decides: with no match, the next stage has run already */

/* What a class means, and the threshold with which it does. */
typedef struct {
    uint32_t answer; /* or OFFRAMP_NO_ANSWER: the stage never leaves with it */
    uint32_t threshold;
} offramp_class_t;

typedef struct {
    offramp_span_t values;  /* of the model's registers while the stage is configured */
    offramp_span_t advance; /* writes: to the next stage; none in the last one */
    offramp_span_t restore; /* writes: back to the model's first stage; none in that */
    offramp_span_t start;   /* writes: to control registers */
    offramp_span_t stop;    /* writes: done and enable bits off, so that memories are accessible */
    offramp_span_t control; /* guards: control registers while the stage runs, without the done bit */
    offramp_contents_t contents; /* written each time before the stage runs */
    uint32_t done_address;  /* control register of the master quadrant */
    uint32_t least_cycles;  /* of the core's clock: the stage cannot have finished before */
    uint32_t most_cycles;   /* of the core's clock: it has to have finished */
    uint32_t flags;
    uint32_t measure; /* offramp_measure_t, or OFFRAMP_NO_MEASURE */
    uint32_t threshold; /* or OFFRAMP_BY_CLASS */
    uint32_t fraction_bits;
    uint32_t temperature_q16; /* with OFFRAMP_STAGE_HARDWARE: address of the count of matches */
    offramp_span_t classes; /* none: classes are the answers, with the stage's threshold */
    offramp_tensor_t result;
    offramp_outside_t outside; /* written with `contents` */
} offramp_stage_t;

#define OFFRAMP_NO_MEASURE UINT32_MAX
#define OFFRAMP_LARGEST_LOGIT 3u /* with OFFRAMP_STAGE_HARDWARE; 0 if it is negative */
#define OFFRAMP_GATE 4u          /* the same of the last value of the result, which is no class */

typedef struct {
    offramp_span_t registers; /* runs of all registers that any stage of the model uses */
    uint32_t first_stage;     /* of the model's stages in the image's */
    uint32_t stages;
    offramp_input_t input;
    offramp_span_t buffers; /* of what is loaded those that make its rolling buffers empty */
    offramp_contents_t contents; /* written when the model runs after another one */
    uint32_t entered; /* runs of `registers` that are written then, from the first on; the others are written once */
} offramp_model_t;

typedef struct {
    uint32_t magic;
    uint32_t crc; /* CRC-32 (ISO-HDLC) of everything behind this word */
    uint32_t bytes;
    uint32_t format;
    uint32_t digest[4];
    uint32_t quadrants;     /* powered; bit q is quadrant q */
    uint32_t all_quadrants; /* of the device */
    uint32_t clock_source;  /* fields of the clock register */
    uint32_t clock_divider; /* bits 7:0; while no stage runs, bits 15:8 of it are inverted */
    uint32_t done;      /* bit of a control register */
    uint32_t fifo_stat; /* address of the FIFO's status */
    uint32_t column_bytes;
    offramp_span_t init;     /* writes after power-up */
    offramp_span_t readable; /* writes: weight memories can be read; `init` undoes them */
    offramp_span_t guards;
    offramp_contents_t contents; /* resident: written once */
    offramp_span_t models;
    offramp_span_t stages; /* of all models */
} offramp_header_t;

/* How the file of weights outside flash begins. */
typedef struct {
    uint32_t magic;
    uint32_t crc; /* CRC-32 (ISO-HDLC) of everything behind this word */
    uint32_t bytes;
    uint32_t format;
    uint32_t digest[4]; /* of the image */
} offramp_file_t;

#define OFFRAMP_FILE_MAGIC 0x3157464Fu /* "OFW1" */

/* What is done with weights outside flash. While the image is being opened: looks for their file. While a stage runs, or is
 * about to: writes those of the current one. Else: `tests`, as for offramp_self_test. After an error, offramp_fail has
 * been called. */
typedef offramp_status_t (*offramp_external_t)(uint32_t tests);
offramp_status_t offramp_all_in_flash(uint32_t tests); /* there are none */
offramp_status_t offramp_external(uint32_t tests);     /* src/offramp_external.c */

struct offramp_image {
    const offramp_header_t *header;
    uint32_t bytes; /* behind `header`, with it */
    /* What changes at run time. */
    offramp_stage_statistics_t *states; /* one for each stage of the image */
    uint32_t *forced;                   /* one for each model: the stage that answers, or OFFRAMP_BY_CONFIDENCE */
    int32_t *logits;                    /* as many as the stage with a measure that has most */
    offramp_external_t external;
};

#ifdef __cplusplus
}
#endif

#endif
