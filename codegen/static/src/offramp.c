/* The calls of the runtime: each takes the lock, or says that another call has it. */
#include "offramp.h"

#include "offramp_internal.h"

static offramp_status_t leave(offramp_status_t status)
{
    offramp_port_unlock(&offramp_lock);
    return status;
}

static bool is_open(void)
{
    return offramp_runtime.phase != OFFRAMP_CLOSED;
}

/* For what is possible between inferences only. */
static offramp_status_t idle(void)
{
    offramp_status_t status = is_open() ? OFFRAMP_OK : OFFRAMP_NOT_READY;
    return offramp_runtime.phase == OFFRAMP_RUNNING ? OFFRAMP_BUSY : status;
}

/* ---- open and close */

static void clear_statistics(void)
{
    offramp_runtime.statistics = (offramp_statistics_t){0u, 0u, 0u, 0u, OFFRAMP_OK};
    for (uint32_t i = 0u; i < offramp_runtime.header->stages.count; i++) {
        offramp_stage_statistics_t *state = &offramp_runtime.image->states[i];
        state->answers = 0u;
        state->worst_cycles = 0u;
        state->cycles = 0u;
    }
}

/* Everything that changes at run time as it was planned. */
static void reset_state(const offramp_image_t *image, const offramp_options_t *options)
{
    offramp_runtime.image = image;
    offramp_runtime.header = image->header;
    offramp_runtime.options = (offramp_options_t){NULL, 0u, NULL, NULL, NULL, false, false, false};
    if (options != NULL) {
        offramp_runtime.options = *options;
    }
    if ((offramp_runtime.options.clock == NULL) && (offramp_runtime.options.wait == NULL)) {
        offramp_runtime.options.clock = offramp_port_cycles;
    }
    const offramp_stage_t *stages = offramp_at(image->header->stages.at);
    for (uint32_t i = 0u; i < image->header->models.count; i++) {
        image->forced[i] = OFFRAMP_BY_CONFIDENCE;
    }
    for (uint32_t i = 0u; i < image->header->stages.count; i++) {
        image->states[i].threshold = stages[i].threshold;
    }
    clear_statistics();
}

static offramp_status_t open_image(const offramp_image_t *image, const offramp_options_t *options)
{
    offramp_status_t status = OFFRAMP_E_ARGUMENT;
    if (is_open()) {
        status = OFFRAMP_BUSY;
    } else if (image == NULL) {
        status = OFFRAMP_E_ARGUMENT;
    } else if (!offramp_image_intact(image)) {
        status = OFFRAMP_E_IMAGE;
    } else {
        reset_state(image, options);
        status = image->external(0u);
        status = status == OFFRAMP_OK ? offramp_load_block(false) : status;
        if (status != OFFRAMP_OK) {
            offramp_runtime.phase = OFFRAMP_CLOSED;
        }
    }
    return status;
}

offramp_status_t offramp_open(const offramp_image_t *image, const offramp_options_t *options)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(open_image(image, options)) : status;
}

static offramp_status_t close_image(void)
{
    offramp_status_t status = idle();
    if (status == OFFRAMP_OK) {
        offramp_drop();
        offramp_runtime.phase = OFFRAMP_CLOSED;
    }
    return status;
}

offramp_status_t offramp_close(void)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(close_image()) : status;
}

/* ---- inferences */

offramp_status_t offramp_load(uint32_t model, offramp_format_t format, const void *data, uint32_t first,
                              uint32_t pixels)
{
    const offramp_piece_t piece = {data, format, first, pixels};
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(offramp_load_piece(model, &piece)) : status;
}

offramp_status_t offramp_begin(uint32_t model, offramp_format_t format, const void *data)
{
    const offramp_piece_t input = {data, format, 0u, 0u};
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(offramp_begin_model(model, &input, false)) : status;
}

static void clear_result(offramp_result_t *result)
{
    *result = (offramp_result_t){0u, 0u, 0u, 0u, 0u};
}

static offramp_status_t poll_once(offramp_result_t *result)
{
    offramp_status_t status = OFFRAMP_NOT_READY;
    clear_result(result);
    if (offramp_runtime.phase == OFFRAMP_RUNNING) {
        status = offramp_poll_stage(result);
        if (status != OFFRAMP_OK) {
            clear_result(result);
        }
    }
    return status;
}

offramp_status_t offramp_poll(offramp_result_t *result)
{
    offramp_status_t status = OFFRAMP_E_ARGUMENT;
    if (result != NULL) {
        status = offramp_enter();
        status = status == OFFRAMP_OK ? leave(poll_once(result)) : status;
    }
    return status;
}

static offramp_status_t infer(uint32_t model, const offramp_piece_t *input, offramp_result_t *result)
{
    clear_result(result);
    offramp_status_t status = offramp_begin_model(model, input, true);
    if (status == OFFRAMP_OK) {
        status = poll_once(result);
        while (status == OFFRAMP_BUSY) {
            if (offramp_runtime.options.wait != NULL) {
                offramp_runtime.options.wait(offramp_runtime.options.context);
            }
            status = poll_once(result);
        }
    }
    return status;
}

offramp_status_t offramp_infer(uint32_t model, offramp_format_t format, const void *data, offramp_result_t *result)
{
    const offramp_piece_t input = {data, format, 0u, 0u};
    offramp_status_t status = OFFRAMP_E_ARGUMENT;
    if (result != NULL) {
        status = offramp_enter();
        status = status == OFFRAMP_OK ? leave(infer(model, &input, result)) : status;
    }
    return status;
}

static offramp_status_t cancel(void)
{
    offramp_status_t status = OFFRAMP_NOT_READY;
    if (offramp_runtime.phase == OFFRAMP_RUNNING) {
        offramp_drop();
        offramp_runtime.statistics.cancelled++;
        status = OFFRAMP_OK;
    }
    return status;
}

offramp_status_t offramp_cancel(void)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(cancel()) : status;
}

/* Copies the result to `words`, widened, or if that is null to `bytes`; there is room for that many of them. */
static offramp_status_t copy_result(uint8_t *bytes, int32_t *words, size_t room)
{
    offramp_status_t status = idle();
    if ((status == OFFRAMP_OK) && (!offramp_runtime.answered || (offramp_runtime.phase == OFFRAMP_ASLEEP))) {
        status = OFFRAMP_NOT_READY;
    }
    if (status == OFFRAMP_OK) {
        const offramp_tensor_t *result = &offramp_runtime.current->result;
        uint32_t values = result->channels * result->rows * result->columns;
        if (room < (words != NULL ? values : values * (result->bits / 8u))) {
            status = OFFRAMP_E_ARGUMENT;
        } else {
            if (words != NULL) {
                offramp_read_words(result, words);
            } else {
                offramp_read_bytes(result, bytes);
            }
            status = offramp_has_power() ? OFFRAMP_OK : offramp_fail(OFFRAMP_E_POWER);
        }
    }
    return status;
}

/* To whichever of the two is not null. */
static offramp_status_t output(uint8_t *bytes, int32_t *words, size_t room)
{
    offramp_status_t status = OFFRAMP_E_ARGUMENT;
    if ((bytes != NULL) || (words != NULL)) {
        status = offramp_enter();
        status = status == OFFRAMP_OK ? leave(copy_result(bytes, words, room)) : status;
    }
    return status;
}

offramp_status_t offramp_output(void *buffer, size_t bytes)
{
    return output(buffer, NULL, bytes);
}

offramp_status_t offramp_output_words(int32_t *values, size_t count)
{
    return output(NULL, values, count);
}

void offramp_on_interrupt(void)
{
    offramp_port_interrupt(false);
    if (is_open() && (offramp_runtime.options.notify != NULL)) {
        offramp_runtime.options.notify(offramp_runtime.options.context);
    }
}

/* ---- settings and statistics */

/* Whether a model has a stage, for what is possible between inferences only. */
static offramp_status_t has_stage(uint32_t model, uint32_t stage)
{
    offramp_status_t status = idle();
    if ((status == OFFRAMP_OK) && (offramp_stage(offramp_runtime.header, model, stage) == NULL)) {
        status = OFFRAMP_E_ARGUMENT;
    }
    return status;
}

static offramp_status_t set_threshold(uint32_t model, uint32_t stage, uint32_t threshold)
{
    offramp_status_t status = has_stage(model, stage);
    if (status == OFFRAMP_OK) {
        const offramp_stage_t *record = offramp_stage(offramp_runtime.header, model, stage);
        bool by_class = (threshold == OFFRAMP_BY_CLASS) && (record->classes.count == 0u);
        if (by_class || ((record->flags & (OFFRAMP_STAGE_LAST | OFFRAMP_STAGE_HARDWARE)) != 0u)) {
            status = OFFRAMP_E_ARGUMENT;
        } else {
            offramp_state(record)->threshold = threshold;
        }
    }
    return status;
}

offramp_status_t offramp_set_threshold(uint32_t model, uint32_t stage, uint32_t threshold)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(set_threshold(model, stage, threshold)) : status;
}

/* Whether the accelerator decides about an exit of a model: then nothing can be forced. */
static bool decides_itself(uint32_t model)
{
    bool found = false;
#if OFFRAMP_HARDWARE_EXITS
    const offramp_model_t *record = offramp_model(offramp_runtime.header, model);
    for (uint32_t i = 0u; i < record->stages; i++) {
        const offramp_stage_t *stage = offramp_stage(offramp_runtime.header, model, i);
        found = found || ((stage->flags & OFFRAMP_STAGE_HARDWARE) != 0u);
    }
#else
    (void)model;
#endif
    return found;
}

static offramp_status_t force_stage(uint32_t model, uint32_t stage)
{
    offramp_status_t status = has_stage(model, stage == OFFRAMP_BY_CONFIDENCE ? 0u : stage);
    if ((status == OFFRAMP_OK) && (stage != OFFRAMP_BY_CONFIDENCE) && decides_itself(model)) {
        status = OFFRAMP_E_ARGUMENT;
    }
    if (status == OFFRAMP_OK) {
        offramp_runtime.image->forced[model] = stage;
    }
    return status;
}

offramp_status_t offramp_force_stage(uint32_t model, uint32_t stage)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(force_stage(model, stage)) : status;
}

static offramp_status_t forget(uint32_t model)
{
    offramp_status_t status = offramp_make_ready();
    if (status == OFFRAMP_OK) {
        const offramp_model_t *record = offramp_model(offramp_runtime.header, model);
        if (record != NULL) {
            (void)offramp_bytes(&record->buffers, true);
        } else {
            status = OFFRAMP_E_ARGUMENT;
        }
    }
    return status;
}

offramp_status_t offramp_forget(uint32_t model)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(forget(model)) : status;
}

static offramp_status_t copy_statistics(offramp_statistics_t *statistics)
{
    offramp_status_t status = OFFRAMP_NOT_READY;
    if (statistics == NULL) {
        status = OFFRAMP_E_ARGUMENT;
    } else if (is_open()) {
        *statistics = offramp_runtime.statistics;
        status = OFFRAMP_OK;
    } else {
        /* There are none. */
    }
    return status;
}

offramp_status_t offramp_statistics(offramp_statistics_t *statistics)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(copy_statistics(statistics)) : status;
}

static offramp_status_t copy_stage(uint32_t model, uint32_t stage, offramp_stage_statistics_t *statistics)
{
    offramp_status_t status = OFFRAMP_NOT_READY;
    if (is_open()) {
        const offramp_stage_t *record = offramp_stage(offramp_runtime.header, model, stage);
        status = OFFRAMP_E_ARGUMENT;
        if ((record != NULL) && (statistics != NULL)) {
            *statistics = *offramp_state(record);
            status = OFFRAMP_OK;
        }
    }
    return status;
}

offramp_status_t offramp_stage_statistics(uint32_t model, uint32_t stage, offramp_stage_statistics_t *statistics)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(copy_stage(model, stage, statistics)) : status;
}

static offramp_status_t clear(void)
{
    offramp_status_t status = idle();
    if (status == OFFRAMP_OK) {
        clear_statistics();
    }
    return status;
}

offramp_status_t offramp_clear_statistics(void)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(clear()) : status;
}

/* ---- self test and sleep */

offramp_status_t offramp_self_test(uint32_t tests)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(offramp_test_block(tests)) : status;
}

offramp_status_t offramp_sleep(offramp_sleep_t mode)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(offramp_sleep_block(mode)) : status;
}

offramp_status_t offramp_wake(void)
{
    offramp_status_t status = offramp_enter();
    return status == OFFRAMP_OK ? leave(offramp_wake_block()) : status;
}

/* ---- what an image says of itself */

offramp_status_t offramp_image_info(const offramp_image_t *image, offramp_image_info_t *info)
{
    offramp_status_t status = OFFRAMP_E_ARGUMENT;
    if ((image != NULL) && (info != NULL)) {
        const uint8_t *digest = (const uint8_t *)image->header->digest;
        info->format = image->header->format;
        info->bytes = image->bytes;
        info->models = image->header->models.count;
        for (uint32_t i = 0u; i < sizeof info->digest; i++) {
            info->digest[i] = digest[i];
        }
        status = OFFRAMP_OK;
    }
    return status;
}

offramp_status_t offramp_shape(const offramp_image_t *image, uint32_t model, uint32_t stage, offramp_shape_t *shape)
{
    offramp_status_t status = OFFRAMP_E_ARGUMENT;
    if ((image != NULL) && (shape != NULL)) {
        const offramp_stage_t *record = offramp_stage(image->header, model, stage);
        if (record != NULL) {
            const offramp_tensor_t *result = &record->result;
            *shape = (offramp_shape_t){result->channels, result->rows, result->columns, result->bits};
            status = OFFRAMP_OK;
        }
    }
    return status;
}

const char *offramp_status_text(offramp_status_t status)
{
    static const char texts[][10] = {
        "external", /* OFFRAMP_E_EXTERNAL */
        "image",    /* OFFRAMP_E_IMAGE */
        "memory",   /* OFFRAMP_E_MEMORY */
        "power",    /* OFFRAMP_E_POWER */
        "early",    /* OFFRAMP_E_EARLY */
        "timeout",  /* OFFRAMP_E_TIMEOUT */
        "argument", /* OFFRAMP_E_ARGUMENT */
        "not ready", "ok", "busy", "input", "unknown",
    };
    uint32_t index = (uint32_t)((int32_t)status - (int32_t)OFFRAMP_E_EXTERNAL);
    uint32_t last = (uint32_t)(sizeof texts / sizeof texts[0]) - 1u;
    return texts[index < last ? index : last];
}
