/* Runs a stage up to one of its layers, or asks an exit, with the parts of the runtime that run whole stages. */
#include <stddef.h>

#include "offramp_probe.h"

#include "offramp_internal.h"

#define CRC_POLYNOMIAL 0xEDB88320u
#define NO_RESULT 0xA5A5A5A5u

static void write_all(const offramp_write_t *writes, uint32_t count)
{
    for (uint32_t i = 0u; i < count; i++) {
        offramp_reg_write(writes[i].address, writes[i].value);
    }
}

static void set_count(const offramp_probe_stage_t *counts, uint32_t value)
{
    for (uint32_t i = 0u; i < counts->count; i++) {
        offramp_reg_write(counts->addresses[i], value);
    }
}

static bool is_done(const offramp_stage_t *stage)
{
    return (offramp_reg_read(stage->done_address) & offramp_runtime.header->done) != 0u;
}

/* Starts the stage that is configured, sends the input if it goes through the FIFO, and waits. Fewer layers than all
 * take less time: the stage's bound holds, but it may be done early. */
static offramp_status_t run_stage(const offramp_model_t *model, const offramp_piece_t *input)
{
    const offramp_stage_t *stage = offramp_runtime.current;
    bool reads = (stage->flags & OFFRAMP_STAGE_READS_FIFO) != 0u;
    offramp_sending_t sending = {0u, 0u};
    offramp_status_t status = OFFRAMP_BUSY;
    uint32_t polls = 0u;
    offramp_load_contents(&stage->contents, false);
    offramp_apply(&stage->start);
    uint32_t moved_at = offramp_now();
    while (status == OFFRAMP_BUSY) {
        if (reads && offramp_send_piece(&model->input, input, &sending)) {
            moved_at = offramp_now();
            polls = 0u;
        }
        polls++;
        if (is_done(stage)) {
            bool whole = !reads || offramp_piece_sent(&model->input, input, &sending);
            status = whole ? OFFRAMP_OK : OFFRAMP_E_EARLY;
        } else if ((polls > stage->most_cycles) || ((offramp_now() - moved_at) > stage->most_cycles)) {
            status = OFFRAMP_E_TIMEOUT;
        } else {
            /* Not yet. */
        }
    }
    if ((status == OFFRAMP_OK) && !offramp_guards_hold(&stage->control)) {
        status = OFFRAMP_E_POWER;
    }
    offramp_apply(&stage->stop);
    return status;
}

/* The stage behind those that the current one is started with: behind an exit that it decides about the accelerator goes
 * on by itself. */
static uint32_t behind_run(void)
{
    const offramp_stage_t *stage = offramp_runtime.current;
    uint32_t number = offramp_runtime.stage + 1u;
    while ((stage->flags & OFFRAMP_STAGE_HARDWARE) != 0u) {
        stage++;
        number++;
    }
    return number;
}

/* The run that is configured as far as `layer`, if that is one of its layers, or all of it. `decides`: in the run of that
 * layer exits are taken; in others never, so that they come to their end. */
static offramp_status_t run_part(const offramp_model_t *model, const offramp_probe_layer_t *layer,
                                 const offramp_piece_t *input, bool decides)
{
    const offramp_probe_stage_t *own = &layer->stages[offramp_runtime.stage];
    bool limited = layer->stage < behind_run();
    bool quiet = !limited || !decides;
    if (limited) {
        set_count(own, layer->limit);
    }
    if (quiet) {
        write_all(own->off, own->writes);
    }
    offramp_status_t status = run_stage(model, input);
    if (limited) {
        set_count(own, own->whole);
    }
    if (quiet) {
        write_all(own->on, own->writes);
    }
    return status;
}

static offramp_status_t run_stages(const offramp_model_t *model, const offramp_probe_layer_t *layer,
                                   const offramp_piece_t *input, bool decides)
{
    offramp_to_first_stage(model, offramp_stage(offramp_runtime.header, layer->model, 0u));
    uint32_t behind = behind_run();
    offramp_status_t status = run_part(model, layer, input, decides);
    while ((status == OFFRAMP_OK) && (behind <= layer->stage)) {
        offramp_apply(&offramp_stage(offramp_runtime.header, layer->model, behind - 1u)->advance);
        offramp_runtime.stage = behind;
        offramp_runtime.current = offramp_stage(offramp_runtime.header, layer->model, behind);
        behind = behind_run();
        status = run_part(model, layer, input, decides);
    }
    return status == OFFRAMP_OK ? OFFRAMP_OK : offramp_fail(status);
}

static uint32_t values_of(const offramp_probe_layer_t *layer)
{
    return layer->shape.channels * layer->shape.rows * layer->shape.columns;
}

/* The address of a value of the result, the byte in the word added. */
static uint32_t place_of(const offramp_probe_layer_t *layer, uint32_t index)
{
    uint32_t pixels = layer->shape.rows * layer->shape.columns;
    return layer->places[index / pixels] + ((index % pixels) * layer->step);
}

/* Before the input is loaded, which may lie in the same place. */
static void forget_result(const offramp_probe_layer_t *layer)
{
    uint32_t values = values_of(layer);
    for (uint32_t index = 0u; index < values; index++) {
        offramp_reg_write(place_of(layer, index) & ~3u, NO_RESULT);
    }
}

static offramp_status_t probe(const offramp_probe_layer_t *layer, const offramp_probe_input_t *input, bool decides)
{
    offramp_status_t status = OFFRAMP_E_ARGUMENT;
    if ((layer->places != NULL) && (layer->model == input->model)) {
        status = offramp_make_ready();
    }
    if (status == OFFRAMP_OK) {
        const offramp_model_t *model = offramp_model(offramp_runtime.header, layer->model);
        const offramp_piece_t piece = {(const uint8_t *)input->data, OFFRAMP_CHW, 0u,
                                       model->input.rows * model->input.columns};
        forget_result(layer);
        (void)offramp_bytes(&model->buffers, true); /* each run is that of a first input */
        offramp_runtime.answered = false;
        offramp_runtime.input_model = NULL;
        if ((model->input.flags & OFFRAMP_INPUT_FIFO) == 0u) {
            offramp_write_piece(&model->input, &piece);
        }
        status = run_stages(model, layer, &piece, decides);
    }
    return status;
}

offramp_status_t offramp_probe_run(const offramp_probe_layer_t *layer, const offramp_probe_input_t *input)
{
    return probe(layer, input, false);
}

offramp_status_t offramp_probe_exit(const offramp_probe_exit_t *asked, const offramp_probe_input_t *input,
                                    uint32_t *matches)
{
    offramp_status_t status = probe(asked->behind, input, true);
    *matches = status == OFFRAMP_OK ? offramp_reg_read(asked->matches) : 0u;
    return status;
}

uint32_t offramp_probe_crc(uint32_t crc, const uint8_t *bytes, uint32_t count)
{
    uint32_t rest = ~crc;
    for (uint32_t i = 0u; i < count; i++) {
        rest ^= bytes[i];
        for (uint32_t bit = 0u; bit < 8u; bit++) {
            rest = (rest >> 1) ^ (CRC_POLYNOMIAL & (0u - (rest & 1u)));
        }
    }
    return ~rest;
}

uint32_t offramp_probe_value(const offramp_probe_layer_t *layer, uint32_t index)
{
    uint32_t address = place_of(layer, index);
    uint32_t word = offramp_reg_read(address & ~3u);
    return layer->shape.bits == 8u ? (word >> (8u * (address & 3u))) & 0xFFu : word;
}

uint32_t offramp_probe_checksum(const offramp_probe_layer_t *layer)
{
    uint32_t values = values_of(layer);
    uint32_t crc = 0u;
    for (uint32_t index = 0u; index < values; index++) {
        uint32_t value = offramp_probe_value(layer, index);
        const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
        crc = offramp_probe_crc(crc, bytes, layer->shape.bits / 8u);
    }
    return crc;
}
