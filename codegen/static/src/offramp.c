/* The runtime: everything that does not depend on the model. */
#include "offramp.h"

#include <stdbool.h>
#include <stddef.h>

#include "offramp_confidence.h"
#include "offramp_input.h"
#include "offramp_platform.h"
#include "offramp_tables.h"

/* Stages are waited for four times as long as modelled, plus a constant: streaming layers are modelled roughly. */
#define OFFRAMP_WAIT_FACTOR 4u
#define OFFRAMP_WAIT_EXTRA 1000u

#define OFFRAMP_UNKNOWN UINT32_MAX

__extension__ _Static_assert(sizeof(offramp_result_t) == 4u * (3u + OFFRAMP_CLASSES), "a result has no padding");

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

/* Whatever they are doing. Memories and the layer count are accessible only while the enable bits are 0; a start needs
 * their rising edge. */
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

static int ready_for(const void *input)
{
    if (input == NULL) {
        return OFFRAMP_E_ARGUMENT;
    }
    return state.powered ? OFFRAMP_OK : OFFRAMP_E_NOT_READY;
}

int offramp_load_input(const int8_t *chw)
{
    int error = ready_for(chw);
    if (error == OFFRAMP_OK) {
        offramp_input_take(chw);
        state.loaded = true;
    }
    return error;
}

int offramp_load_packed(const uint32_t *words)
{
    int error = ready_for(words);
    if (error == OFFRAMP_OK) {
        offramp_input_take_packed(words);
        state.loaded = true;
    }
    return error;
}

static void configure_first_stage(void)
{
    if (state.configured == OFFRAMP_UNKNOWN) {
        stop(OFFRAMP_QUADRANTS);
        apply(offramp_tables.configure);
    } else if (state.configured != 0u) {
        offramp_stages[state.configured].restore();
    }
    state.configured = 0u;
}

static bool finishes(const offramp_stage_t *stage)
{
    uint32_t cycles = OFFRAMP_WAIT_FACTOR * stage->cycles + OFFRAMP_WAIT_EXTRA;
#ifdef OFFRAMP_INPUT_FIFO
    /* Looking over the bus takes longer than a cycle of the accelerator. */
    if (stage->reads_fifo && !offramp_input_send(cycles)) {
        return false;
    }
#endif
    return offramp_platform_wait(stage->done_address, OFFRAMP_CTRL_DONE, cycles);
}

static int run(const offramp_stage_t *stage)
{
    stage->start();
    if (!finishes(stage)) {
        stop(OFFRAMP_QUADRANTS);
        state.configured = OFFRAMP_UNKNOWN;
#ifdef OFFRAMP_INPUT_FIFO
        state.powered = false; /* words of this input may be left in the FIFO */
#endif
        return OFFRAMP_E_TIMEOUT;
    }
    stage->stop();
    return OFFRAMP_OK;
}

static void look(const offramp_stage_t *stage, offramp_result_t *result)
{
    stage->read(result->logits);
    result->confidence = offramp_confidence(stage->measure, result->logits, OFFRAMP_CLASSES, stage->fraction_bits,
                                            stage->temperature_q16, &result->class_index);
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
    if (!state.loaded) {
        *result = (offramp_result_t){0};
        return OFFRAMP_E_NOT_READY;
    }
    state.loaded = false;
    configure_first_stage();
    for (uint32_t index = 0;; index++) {
        const offramp_stage_t *stage = &offramp_stages[index];
        int error = run(stage);
        if (error != OFFRAMP_OK) {
            *result = (offramp_result_t){.stage = index};
            return error;
        }
        look(stage, result);
        if (leaves(index, result->confidence)) {
            result->stage = index;
            return OFFRAMP_OK;
        }
        stage->advance();
        state.configured = index + 1u;
    }
}
