/* The accelerator as a whole: loading it, noticing that it is not what it was, loading it again, sleep. */
#include <stddef.h>

#include "offramp_internal.h"

offramp_runtime_t offramp_runtime;

volatile uint32_t offramp_lock;

offramp_status_t offramp_enter(void)
{
    return offramp_port_try_lock(&offramp_lock) ? OFFRAMP_OK : OFFRAMP_BUSY;
}

const offramp_model_t *offramp_model(const offramp_header_t *image, uint32_t model)
{
    const offramp_model_t *models = (const void *)((const uint8_t *)image + image->models.at);
    return model < image->models.count ? &models[model] : NULL;
}

const offramp_stage_t *offramp_stage(const offramp_header_t *image, uint32_t model, uint32_t stage)
{
    const offramp_stage_t *stages = (const void *)((const uint8_t *)image + image->stages.at);
    const offramp_model_t *record = offramp_model(image, model);
    return (record != NULL) && (stage < record->stages) ? &stages[record->first_stage + stage] : NULL;
}

offramp_stage_statistics_t *offramp_state(const offramp_stage_t *stage)
{
    const offramp_stage_t *stages = offramp_at(offramp_runtime.header->stages.at);
    return &offramp_runtime.image->states[stage - stages];
}

uint32_t offramp_now(void)
{
    uint32_t time = 0u;
    if (offramp_runtime.options.clock != NULL) {
        time = offramp_runtime.options.clock();
    }
    return time;
}

bool offramp_has_power(void)
{
    return offramp_guards_hold(&offramp_runtime.header->guards);
}

static void forget_contents(void)
{
    offramp_runtime.record = NULL;
    offramp_runtime.input_model = NULL;
    offramp_runtime.loaded = 0u;
    offramp_runtime.answered = false;
}

/* Registers as after a reset, before anything is loaded. What is kept of weights might not survive it. */
static bool begin_empty(const offramp_header_t *image, bool keep_weights)
{
    bool ready = true;
    offramp_apply(&image->init);
#if OFFRAMP_CLEARS_REGISTERS
    if (!keep_weights) {
        ready = offramp_clear_registers(image->quadrants);
        offramp_apply(&image->init);
    }
#else
    (void)keep_weights;
#endif
    return ready && offramp_has_power();
}

static offramp_status_t check_loaded(void)
{
    offramp_status_t status = OFFRAMP_OK;
    if (offramp_runtime.options.check_weights &&
        !offramp_contents_hold(&offramp_runtime.header->contents, OFFRAMP_TEST_WEIGHTS | OFFRAMP_TEST_BIASES)) {
        status = OFFRAMP_E_MEMORY;
    } else if (!offramp_has_power()) {
        status = OFFRAMP_E_POWER;
    } else {
        /* As far as it has been looked at, all is there. */
    }
    return status;
}

offramp_status_t offramp_load_block(bool keep_weights)
{
    const offramp_header_t *image = offramp_runtime.header;
    offramp_status_t status = OFFRAMP_E_POWER;
    forget_contents();
    offramp_port_power_off(image->all_quadrants, keep_weights);
    offramp_port_power_on(image->quadrants, image->all_quadrants, image->clock_source, image->clock_divider);
    if (begin_empty(image, keep_weights)) {
        offramp_load_contents(&image->contents, keep_weights);
#if OFFRAMP_KEEPS_REGISTERS
        offramp_load_registers();
#endif
        status = check_loaded();
    }
    if (status == OFFRAMP_OK) {
        offramp_runtime.phase = OFFRAMP_READY;
    } else {
        (void)offramp_fail(status);
    }
    return status;
}

/* The same from flash that may have changed since the image was opened. */
static offramp_status_t load_again(void)
{
    bool intact = offramp_image_intact(offramp_runtime.image);
    return intact ? offramp_load_block(false) : offramp_fail(OFFRAMP_E_IMAGE);
}

void offramp_drop(void)
{
    offramp_port_interrupt(false);
    offramp_port_power_off(offramp_runtime.header->all_quadrants, false);
    offramp_runtime.phase = OFFRAMP_STALE;
    forget_contents();
}

offramp_status_t offramp_fail(offramp_status_t status)
{
    offramp_drop();
    offramp_runtime.statistics.errors++;
    offramp_runtime.statistics.last_error = status;
    return status;
}

offramp_status_t offramp_make_ready(void)
{
    offramp_status_t status = OFFRAMP_OK;
    if (offramp_runtime.phase == OFFRAMP_RUNNING) {
        status = OFFRAMP_BUSY;
    } else if ((offramp_runtime.phase == OFFRAMP_CLOSED) || (offramp_runtime.phase == OFFRAMP_ASLEEP)) {
        status = OFFRAMP_NOT_READY;
    } else if (offramp_runtime.phase == OFFRAMP_STALE) {
        offramp_runtime.statistics.reloads++;
        status = load_again();
    } else if (!offramp_has_power()) {
        status = offramp_fail(OFFRAMP_E_POWER);
    } else {
        /* It holds the image. */
    }
    return status;
}

/* Registers, and what has been written for the stage that they are of. */
static bool stage_in_place(uint32_t tests)
{
    const offramp_runtime_t *self = &offramp_runtime;
    return (self->record == NULL) ||
           ((((tests & OFFRAMP_TEST_REGISTERS) == 0u) || offramp_registers_hold(self->record, self->current)) &&
            offramp_contents_hold(&self->record->contents, tests) &&
            offramp_contents_hold(&self->current->contents, tests));
}

offramp_status_t offramp_all_in_flash(uint32_t tests)
{
    (void)tests;
    return OFFRAMP_OK;
}

offramp_status_t offramp_test_block(uint32_t tests)
{
    offramp_status_t status = offramp_make_ready();
    if (status == OFFRAMP_OK) {
        bool intact = ((tests & OFFRAMP_TEST_IMAGE) == 0u) || offramp_image_intact(offramp_runtime.image);
        bool same = stage_in_place(tests) && offramp_contents_hold(&offramp_runtime.header->contents, tests);
        if (!intact) {
            status = OFFRAMP_E_IMAGE;
        } else if (!same) {
            status = OFFRAMP_E_MEMORY;
        } else if (!offramp_has_power()) {
            status = OFFRAMP_E_POWER;
        } else {
            /* All is as it should be. */
        }
        if (status != OFFRAMP_OK) {
            (void)offramp_fail(status);
        } else {
            status = offramp_runtime.image->external(tests);
        }
    }
    return status;
}

offramp_status_t offramp_sleep_block(offramp_sleep_t mode)
{
    offramp_status_t status = OFFRAMP_OK;
    if (offramp_runtime.phase == OFFRAMP_RUNNING) {
        status = OFFRAMP_BUSY;
    } else if ((offramp_runtime.phase == OFFRAMP_CLOSED) || (offramp_runtime.phase == OFFRAMP_ASLEEP)) {
        status = OFFRAMP_NOT_READY;
    } else if (mode > OFFRAMP_SLEEP_OFF) {
        status = OFFRAMP_E_ARGUMENT;
    } else {
        /* A block that has to be loaded again is off already. */
        offramp_runtime.sleep = offramp_runtime.phase == OFFRAMP_STALE ? OFFRAMP_SLEEP_OFF : mode;
        offramp_runtime.phase = OFFRAMP_ASLEEP;
        if (offramp_runtime.sleep == OFFRAMP_SLEEP_CLOCK) {
            offramp_port_clock(false);
        } else {
            forget_contents();
            offramp_port_power_off(offramp_runtime.header->all_quadrants, offramp_runtime.sleep == OFFRAMP_SLEEP_RETAIN);
        }
    }
    return status;
}

offramp_status_t offramp_wake_block(void)
{
    offramp_status_t status = OFFRAMP_NOT_READY;
    if (offramp_runtime.phase == OFFRAMP_RUNNING) {
        status = OFFRAMP_BUSY;
    } else if (offramp_runtime.phase == OFFRAMP_ASLEEP) {
        if (offramp_runtime.sleep == OFFRAMP_SLEEP_CLOCK) {
            offramp_port_clock(true);
            offramp_runtime.phase = OFFRAMP_READY;
            status = offramp_make_ready();
        } else {
            status = offramp_runtime.sleep == OFFRAMP_SLEEP_RETAIN ? offramp_load_block(true) : load_again();
        }
    } else {
        /* It does not sleep. */
    }
    return status;
}
