/* The runtime: everything that does not depend on the model. */
#include "offramp.h"

#include <stdbool.h>
#include <stddef.h>

#include "offramp_confidence.h"
#include "offramp_platform.h"
#include "offramp_tables.h"

/* Stages are waited for four times as long as modelled, plus a constant: streaming layers are modelled roughly. */
#define OFFRAMP_WAIT_FACTOR 4u
#define OFFRAMP_WAIT_EXTRA 1000u

#define OFFRAMP_UNKNOWN UINT32_MAX

_Static_assert(sizeof(offramp_result_t) == 4u * (3u + OFFRAMP_CLASSES), "a result has no padding");

static struct {
    bool powered;
    bool loaded;         /* an input waits for its inference */
    uint32_t configured; /* the stage whose registers are in place, or OFFRAMP_UNKNOWN */
} state = {false, false, OFFRAMP_UNKNOWN};

static void apply(offramp_writes_t list)
{
    for (uint32_t i = 0; i < list.count; i++) {
        offramp_reg_write(list.writes[i].address, list.writes[i].value);
    }
}

#ifdef OFFRAMP_INPUT_FIFO
#define OFFRAMP_CTRL_STOPPED (OFFRAMP_CTRL_DONE | OFFRAMP_CTRL_ENABLE | OFFRAMP_CTRL_FIFO)
#else
#define OFFRAMP_CTRL_STOPPED (OFFRAMP_CTRL_DONE | OFFRAMP_CTRL_ENABLE)
#endif

/* Memories and the layer count are accessible only while the enable bits are 0; a start needs their rising edge. */
static void stop(uint32_t quadrants)
{
    for (uint32_t quadrant = 0; quadrant < OFFRAMP_DEVICE_QUADRANTS; quadrant++) {
        if ((quadrants >> quadrant) & 1u) {
            uint32_t address = OFFRAMP_CTRL + quadrant * OFFRAMP_CTRL_STRIDE;
            offramp_reg_write(address, offramp_reg_read(address) & ~OFFRAMP_CTRL_STOPPED);
        }
    }
}

int offramp_init(void)
{
    offramp_platform_power_on(OFFRAMP_QUADRANTS);
    apply(offramp_tables.init);
    for (uint32_t i = 0; i < offramp_tables.weight_chunks; i++) {
        const offramp_chunk_t *chunk = &offramp_tables.weights[i];
        offramp_weights_stream(chunk->address, chunk->words, chunk->count);
    }
    for (uint32_t i = 0; i < offramp_tables.bias_runs; i++) {
        const offramp_bias_t *run = &offramp_tables.biases[i];
        for (uint32_t k = 0; k < run->count; k++) {
            offramp_reg_write(run->address + 4u * k, (uint8_t)run->values[k]);
        }
    }
    state.powered = true;
    state.loaded = false;
    state.configured = OFFRAMP_UNKNOWN;
    return OFFRAMP_OK;
}

void offramp_deinit(void)
{
    state.powered = false;
    state.loaded = false;
    state.configured = OFFRAMP_UNKNOWN;
    offramp_platform_power_off();
}

static uint32_t byte_of(const int8_t *chw, int32_t channel, uint32_t pixel)
{
    bool there = channel >= 0 && pixel < OFFRAMP_INPUT_PIXELS;
    return there ? (uint8_t)chw[(uint32_t)channel * OFFRAMP_INPUT_PIXELS + pixel] : 0u;
}

static uint32_t input_word(const offramp_input_run_t *run, const int8_t *chw, uint32_t index)
{
    uint32_t word = 0;
    for (uint32_t lane = 0; lane < 4u; lane++) {
#if OFFRAMP_INPUT_CHW
        word |= byte_of(chw, run->channels[0], 4u * index + lane) << (8u * lane);
#else
        word |= byte_of(chw, run->channels[lane], index) << (8u * lane);
#endif
    }
    return word;
}

#ifdef OFFRAMP_INPUT_FIFO
static const int8_t *frame; /* the application's; sent again for every stage that reads it */

static void take_input(const int8_t *chw)
{
    frame = chw;
}

/* All ports get a word in turn. False if they have been full for `polls` looks altogether. */
static bool send_input(uint32_t polls)
{
    for (uint32_t k = 0; k < OFFRAMP_INPUT_WORDS; k++) {
        for (uint32_t i = 0; i < offramp_tables.input_runs; i++) {
            const offramp_input_run_t *run = &offramp_tables.input[i];
            while ((offramp_reg_read(OFFRAMP_FIFO_STAT) & run->full) != 0u) {
                if (polls == 0u) {
                    return false;
                }
                polls--;
            }
            offramp_reg_write(run->address, input_word(run, frame, k));
        }
    }
    return true;
}
#else
static void take_input(const int8_t *chw)
{
    for (uint32_t i = 0; i < offramp_tables.input_runs; i++) {
        const offramp_input_run_t *run = &offramp_tables.input[i];
        for (uint32_t k = 0; k < OFFRAMP_INPUT_WORDS; k++) {
            offramp_reg_write(run->address + k * run->step, input_word(run, chw, k));
        }
    }
}
#endif

int offramp_load_input(const int8_t *chw)
{
    if (chw == NULL) {
        return OFFRAMP_E_ARGUMENT;
    }
    if (!state.powered) {
        return OFFRAMP_E_NOT_READY;
    }
    take_input(chw);
    state.loaded = true;
    return OFFRAMP_OK;
}

static void configure_first_stage(void)
{
    if (state.configured == OFFRAMP_UNKNOWN) {
        stop(OFFRAMP_QUADRANTS);
        apply(offramp_tables.configure);
    } else if (state.configured != 0u) {
        apply(offramp_stages[state.configured].restore);
    }
    state.configured = 0u;
}

static bool finishes(const offramp_stage_t *stage)
{
    uint32_t cycles = OFFRAMP_WAIT_FACTOR * stage->cycles + OFFRAMP_WAIT_EXTRA;
#ifdef OFFRAMP_INPUT_FIFO
    /* Looking over the bus takes longer than a cycle of the accelerator. */
    if (stage->reads_fifo && !send_input(cycles)) {
        return false;
    }
#endif
    return offramp_platform_wait(stage->done_address, OFFRAMP_CTRL_DONE, cycles);
}

static int run(const offramp_stage_t *stage)
{
    apply(stage->start);
    if (!finishes(stage)) {
        stop(OFFRAMP_QUADRANTS);
        state.configured = OFFRAMP_UNKNOWN;
#ifdef OFFRAMP_INPUT_FIFO
        state.powered = false; /* words of this input may be left in the FIFO */
#endif
        return OFFRAMP_E_TIMEOUT;
    }
    stop(stage->quadrants);
    return OFFRAMP_OK;
}

static int32_t read_logit(const offramp_logit_t *logit)
{
    uint32_t word = offramp_reg_read(logit->address);
    return logit->bits == 32u ? (int32_t)word : (int32_t)(int8_t)(uint8_t)(word >> (8u * logit->lane));
}

static void read_result(const offramp_stage_t *stage, offramp_result_t *result)
{
    for (uint32_t i = 0; i < OFFRAMP_CLASSES; i++) {
        result->logits[i] = read_logit(&stage->logits[i]);
    }
    result->class_index = offramp_argmax(result->logits, OFFRAMP_CLASSES);
    result->confidence = offramp_confidence(stage->measure, result->logits, OFFRAMP_CLASSES, stage->fraction_bits,
                                            stage->temperature_q16);
}

static bool leaves(uint32_t index, uint32_t confidence)
{
    const offramp_stage_t *stage = &offramp_stages[index];
    return index + 1u == OFFRAMP_STAGES || offramp_confident(stage->measure, confidence, stage->threshold);
}

int offramp_infer(offramp_result_t *result)
{
    if (result == NULL) {
        return OFFRAMP_E_ARGUMENT;
    }
    *result = (offramp_result_t){0};
    if (!state.loaded) {
        return OFFRAMP_E_NOT_READY;
    }
    state.loaded = false;
    configure_first_stage();
    for (uint32_t index = 0;; index++) {
        result->stage = index;
        int error = run(&offramp_stages[index]);
        if (error != OFFRAMP_OK) {
            return error;
        }
        read_result(&offramp_stages[index], result);
        if (leaves(index, result->confidence)) {
            return OFFRAMP_OK;
        }
        apply(offramp_stages[index].advance);
        state.configured = index + 1u;
    }
}
