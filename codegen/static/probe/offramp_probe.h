/* Which layer fails? Runs a stage up to one of its layers, so that this layer's result is still there to be read. And does
 * the accelerator take the exits that it decides about?
 *
 * For bringing up a board, not for products: nothing else may call the runtime between offramp_open and offramp_close.
 * An inference afterwards is as good as before. */
#ifndef OFFRAMP_PROBE_H
#define OFFRAMP_PROBE_H

#include "offramp.h"
#include "offramp_image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The registers that hold the number of layers of a stage, one in each of its quadrants; of stages that the accelerator
 * is started with together, of all of them. */
typedef struct {
    const uint32_t *addresses;
    uint32_t count;
    uint32_t whole;             /* their value when all layers run */
    const offramp_write_t *off; /* with which the exits that the accelerator decides about are never taken */
    const offramp_write_t *on;  /* with which they are as inferences have them */
    uint32_t writes;            /* in each of the two, 0 where there is no such exit */
} offramp_probe_stage_t;

typedef struct {
    uint32_t model;
    uint32_t stage;
    uint32_t layer;         /* of the stage, from 0 */
    uint32_t limit;         /* value of the stage's layer count with which this layer is the last one */
    offramp_shape_t shape;  /* of the result */
    uint32_t step;          /* bytes from pixel to pixel */
    const uint32_t *places; /* for each channel the address of its first value, the byte in the word added; null if the
                             * result is never in memory as a whole */
    const uint32_t *wanted; /* for each input the checksum that is right, 0 for inputs of other models; null without
                             * places */
    const offramp_probe_stage_t *stages; /* of the model */
} offramp_probe_layer_t;

/* An exit that the accelerator decides about. */
typedef struct {
    uint32_t stage;                      /* at the end of which it leaves */
    uint32_t matches;                    /* address of their count */
    const offramp_probe_layer_t *behind; /* a layer of the next stage, which runs if it does not */
} offramp_probe_exit_t;

typedef struct {
    uint32_t model;
    const int8_t *data; /* in the order channel, row, column */
    uint32_t bytes;
} offramp_probe_input_t;

typedef struct {
    const offramp_image_t *image;
    const offramp_probe_layer_t *layers;
    uint32_t layer_count;
    const offramp_probe_input_t *inputs;
    uint32_t input_count;
    const offramp_probe_exit_t *exits;
    uint32_t exit_count;
    uint32_t core_hz; /* for offramp_port_start */
} offramp_probe_t;

/* What is probed: generated. */
extern const offramp_probe_t offramp_probe;

/* Runs all stages before the layer's, then its stage up to it; no exit is taken. A layer without places cannot be the
 * last one: OFFRAMP_E_ARGUMENT. After any other error the accelerator is loaded again by what uses it next. */
offramp_status_t offramp_probe_run(const offramp_probe_layer_t *layer, const offramp_probe_input_t *input);

/* The same up to the layer behind an exit, but the accelerator decides in this run as it does in an inference. Where it
 * leaves, here or before, what is in the place of that layer's result is none. `matches`: what the exit has counted. */
offramp_status_t offramp_probe_exit(const offramp_probe_exit_t *asked, const offramp_probe_input_t *input,
                                    uint32_t *matches);

/* Goes on with a checksum (CRC-32, ISO-HDLC; 0 at the start). */
uint32_t offramp_probe_crc(uint32_t crc, const uint8_t *bytes, uint32_t count);

/* After offramp_probe_run: the checksum of the result, its values in the order channel, row, column, the least
 * significant byte of a value first. */
uint32_t offramp_probe_checksum(const offramp_probe_layer_t *layer);

/* After offramp_probe_run: value `index` of the result in that order. */
uint32_t offramp_probe_value(const offramp_probe_layer_t *layer, uint32_t index);

#ifdef __cplusplus
}
#endif

#endif
