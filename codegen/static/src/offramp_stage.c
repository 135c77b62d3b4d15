/* Inferences: inputs piece by piece, stage after stage, and when to leave. */
#include <stddef.h>

#include "offramp_confidence.h"
#include "offramp_internal.h"

#define NO_PIECE ((offramp_piece_t){NULL, OFFRAMP_CHW, 0u, 0u})

static uint32_t pixels_of(const offramp_model_t *model)
{
    return model->input.rows * model->input.columns;
}

static bool through_fifo(const offramp_model_t *model)
{
    return (model->input.flags & OFFRAMP_INPUT_FIFO) != 0u;
}

static bool reads_fifo(const offramp_stage_t *stage)
{
    return (stage->flags & OFFRAMP_STAGE_READS_FIFO) != 0u;
}

/* ---- input */

static bool known_format(const offramp_piece_t *piece)
{
    bool packed = piece->format == OFFRAMP_PACKED;
    return ((piece->format & ~OFFRAMP_UNSIGNED) <= OFFRAMP_HWC) || (packed && ((uintptr_t)piece->data % 4u == 0u));
}

/* Whether it follows what has been loaded, lies inside the input, and ends at the end of a word. */
static bool fits(const offramp_piece_t *piece, const offramp_model_t *model)
{
    uint32_t left = pixels_of(model) - piece->first;
    bool follows = (offramp_runtime.input_model == model) && (piece->first == offramp_runtime.loaded);
    bool inside = (piece->pixels > 0u) && (piece->first < pixels_of(model)) && (piece->pixels <= left);
    bool any_end = ((model->input.flags & OFFRAMP_INPUT_CHW) == 0u) || (piece->pixels % 4u == 0u);
    return (follows || (piece->first == 0u)) && inside && (any_end || (piece->pixels == left));
}

static void send_from_start(offramp_piece_t piece)
{
    offramp_runtime.piece = piece;
    offramp_runtime.sending = (offramp_sending_t){0u, 0u};
}

static void take(const offramp_piece_t *piece, const offramp_model_t *model)
{
    if (through_fifo(model)) {
        send_from_start(*piece);
    } else {
        offramp_runtime.answered = false; /* the answer may lie where the input goes */
        offramp_write_piece(&model->input, piece);
    }
    offramp_runtime.input_model = model;
    offramp_runtime.loaded = piece->first + piece->pixels;
}

static bool piece_sent(void)
{
    return offramp_piece_sent(&offramp_runtime.record->input, &offramp_runtime.piece, &offramp_runtime.sending);
}

/* While a stage reads the FIFO: the piece that comes next, once the one before is through. */
static offramp_status_t load_running(const offramp_model_t *model, const offramp_piece_t *piece)
{
    offramp_status_t status = OFFRAMP_BUSY;
    if (reads_fifo(offramp_runtime.current) && (model == offramp_runtime.record) && piece_sent()) {
        status = OFFRAMP_E_ARGUMENT;
        if ((piece->first == offramp_runtime.loaded) && fits(piece, model)) {
            take(piece, model);
            status = OFFRAMP_OK;
        }
    }
    return status;
}

static offramp_status_t load_waiting(const offramp_model_t *model, const offramp_piece_t *piece)
{
    bool sent_later = through_fifo(model) && (piece->first != 0u); /* the pieces before would be forgotten */
    offramp_status_t status = fits(piece, model) && !sent_later ? offramp_make_ready() : OFFRAMP_E_ARGUMENT;
    if (status == OFFRAMP_OK) {
        take(piece, model);
    }
    return status;
}

offramp_status_t offramp_load_piece(uint32_t number, const offramp_piece_t *piece)
{
    offramp_status_t status = OFFRAMP_NOT_READY;
    if ((offramp_runtime.phase != OFFRAMP_CLOSED) && (offramp_runtime.phase != OFFRAMP_ASLEEP)) {
        const offramp_model_t *model = offramp_model(offramp_runtime.header, number);
        if ((model == NULL) || (piece->data == NULL) || !known_format(piece)) {
            status = OFFRAMP_E_ARGUMENT;
        } else if (offramp_runtime.phase == OFFRAMP_RUNNING) {
            status = load_running(model, piece);
        } else {
            status = load_waiting(model, piece);
        }
    }
    return status;
}

/* ---- stages */

static bool registers_checked(void)
{
    return !offramp_runtime.options.check_registers ||
           offramp_registers_hold(offramp_runtime.record, offramp_runtime.current);
}

static offramp_status_t start(void)
{
    const offramp_stage_t *stage = offramp_runtime.current;
    offramp_status_t status = OFFRAMP_OK;
    offramp_load_contents(&stage->contents, false);
    if (!registers_checked()) {
        status = offramp_fail(OFFRAMP_E_MEMORY);
    } else {
        offramp_runtime.phase = OFFRAMP_RUNNING;
        offramp_runtime.polls = 0u;
        if (offramp_runtime.options.interrupt) {
            offramp_port_interrupt(true);
        }
        offramp_runtime.started_at = offramp_now();
        offramp_runtime.moved_at = offramp_runtime.started_at;
        offramp_port_run(true);
        offramp_apply(&stage->start);
    }
    return status;
}

/* `whole`: nothing can follow while the stages run. */
static offramp_status_t take_input(const offramp_model_t *model, const offramp_piece_t *input, bool whole)
{
    offramp_status_t status = OFFRAMP_OK;
    bool there = offramp_runtime.input_model == model;
    if (input->data != NULL) {
        const offramp_piece_t all = {input->data, input->format, 0u, pixels_of(model)};
        take(&all, model);
    } else if (there && (offramp_runtime.loaded == pixels_of(model))) {
        /* offramp_load has loaded it. */
    } else if (whole || !through_fifo(model)) {
        status = OFFRAMP_NOT_READY;
    } else if (!there) {
        send_from_start(NO_PIECE);
        offramp_runtime.loaded = 0u;
    } else {
        /* The pieces that follow come while the stage runs. */
    }
    return status;
}

static offramp_status_t begin(uint32_t number, const offramp_model_t *model, const offramp_piece_t *input, bool whole)
{
    uint32_t begun_at = offramp_now();
    offramp_status_t status = offramp_make_ready();
    if (status == OFFRAMP_OK) {
        status = take_input(model, input, whole);
    }
    if (status == OFFRAMP_OK) {
        offramp_runtime.statistics.begun++;
        offramp_runtime.begun_at = begun_at;
        offramp_runtime.answered = false;
        offramp_to_first_stage(model, offramp_stage(offramp_runtime.header, number, 0u));
        offramp_runtime.forced = offramp_runtime.image->forced[number];
        offramp_runtime.input_model = through_fifo(model) ? model : NULL;
        status = start();
    }
    return status;
}

offramp_status_t offramp_begin_model(uint32_t number, const offramp_piece_t *input, bool whole)
{
    offramp_status_t status = OFFRAMP_NOT_READY;
    if ((offramp_runtime.phase != OFFRAMP_CLOSED) && (offramp_runtime.phase != OFFRAMP_ASLEEP)) {
        const offramp_model_t *model = offramp_model(offramp_runtime.header, number);
        status = OFFRAMP_E_ARGUMENT;
        if ((model != NULL) && ((input->data == NULL) || known_format(input))) {
            status = begin(number, model, input, whole);
        }
    }
    return status;
}

/* Once the FIFO has taken the whole input: the next stage that reads it gets it again, or asks for it. */
static void rewind_input(void)
{
    bool whole = offramp_runtime.piece.pixels == pixels_of(offramp_runtime.record);
    send_from_start(whole ? offramp_runtime.piece : NO_PIECE);
    offramp_runtime.loaded = offramp_runtime.piece.pixels;
}

#if OFFRAMP_HARDWARE_EXITS
static bool by_hardware(const offramp_stage_t *stage)
{
    return (stage->flags & OFFRAMP_STAGE_HARDWARE) != 0u;
}

/* To the stage with which the run has ended. The last one of a run is none that the accelerator decides about. */
static const offramp_stage_t *follow_run(void)
{
    while (by_hardware(offramp_runtime.current) &&
           (offramp_reg_read(offramp_runtime.current->temperature_q16) == 0u)) {
        offramp_runtime.stage++;
        offramp_runtime.current++;
    }
    return offramp_runtime.current;
}

/* What the accelerator compares: the largest logit, or the gate, which is behind those of the classes. */
static uint32_t compared(const offramp_stage_t *stage, uint32_t *class_index)
{
    const int32_t *logits = offramp_runtime.image->logits;
    bool gate = stage->measure == OFFRAMP_GATE;
    uint32_t classes = gate ? stage->result.channels - 1u : stage->result.channels;
    (void)offramp_confidence(OFFRAMP_MARGIN, logits, classes, 0u, 1u, class_index);
    int32_t value = logits[gate ? classes : *class_index];
    return value > 0 ? (uint32_t)value : 0u;
}
#else
static bool by_hardware(const offramp_stage_t *stage)
{
    (void)stage;
    return false;
}

static uint32_t compared(const offramp_stage_t *stage, uint32_t *class_index)
{
    (void)stage;
    (void)class_index;
    return 0u;
}
#endif

/* Of a result that is one logit a class, and may have a gate: a single pixel. */
static uint32_t confidence(const offramp_stage_t *stage, uint32_t *class_index)
{
    int32_t *logits = offramp_runtime.image->logits;
    offramp_read_words(&stage->result, logits);
    if (by_hardware(stage)) {
        return compared(stage, class_index);
    }
    return offramp_confidence((offramp_measure_t)stage->measure, logits, stage->result.channels, stage->fraction_bits,
                              stage->temperature_q16, class_index);
}

/* What the stage's class means, and whether that is the answer. */
static bool leaves(const offramp_stage_t *stage, offramp_result_t *result)
{
    const offramp_stage_statistics_t *state = offramp_state(stage);
    offramp_class_t own = {result->class_index, state->threshold};
    bool sure = offramp_runtime.forced == offramp_runtime.stage;
    if (stage->classes.count != 0u) {
        const offramp_class_t *planned = (const offramp_class_t *)offramp_at(stage->classes.at) + result->class_index;
        own.answer = planned->answer;
        if (own.threshold == OFFRAMP_BY_CLASS) {
            own.threshold = planned->threshold;
        }
    }
    result->answer = own.answer;
    if (offramp_runtime.forced == OFFRAMP_BY_CONFIDENCE) {
        sure = (stage->measure != OFFRAMP_NO_MEASURE) && (own.answer != OFFRAMP_NO_ANSWER) &&
               offramp_confident((offramp_measure_t)stage->measure, result->confidence, own.threshold);
    }
    return sure || ((stage->flags & OFFRAMP_STAGE_LAST) != 0u);
}

static void count_answer(uint32_t cycles)
{
    offramp_stage_statistics_t *statistics = offramp_state(offramp_runtime.current);
    statistics->answers++;
    statistics->cycles += cycles;
    if (cycles > statistics->worst_cycles) {
        statistics->worst_cycles = cycles;
    }
}

static offramp_status_t answer(offramp_result_t *result)
{
    offramp_status_t status = OFFRAMP_OK;
    if (!offramp_has_power()) {
        status = offramp_fail(OFFRAMP_E_POWER);
    } else {
        offramp_runtime.phase = OFFRAMP_READY;
        offramp_runtime.input_model = NULL;
        offramp_runtime.answered = true;
        result->stage = offramp_runtime.stage;
        result->cycles = offramp_now() - offramp_runtime.begun_at;
        count_answer(result->cycles);
    }
    return status;
}

static bool early(const offramp_stage_t *stage)
{
    uint32_t passed = offramp_now() - offramp_runtime.started_at;
    return (offramp_runtime.options.clock != NULL) && (passed + offramp_runtime.options.clock_step < stage->least_cycles);
}

/* A stage has finished: the answer, or the next stage. */
static offramp_status_t finish(const offramp_stage_t *stage, offramp_result_t *result)
{
    offramp_status_t status = OFFRAMP_BUSY;
    bool too_early = false;
    offramp_apply(&stage->stop);
    offramp_port_run(false);
    if (offramp_runtime.options.interrupt) {
        offramp_port_interrupt(false);
    }
    if (reads_fifo(stage)) {
        rewind_input();
    }
#if OFFRAMP_HARDWARE_EXITS
    stage = follow_run();
    too_early = early(stage);
#endif
    if (stage->measure != OFFRAMP_NO_MEASURE) {
        result->confidence = confidence(stage, &result->class_index);
    }
    if (too_early) {
        status = offramp_fail(OFFRAMP_E_EARLY);
    } else if (!registers_checked()) {
        status = offramp_fail(OFFRAMP_E_MEMORY);
    } else if (leaves(stage, result)) {
        status = answer(result);
    } else if (by_hardware(stage)) {
        status = offramp_fail(OFFRAMP_E_MEMORY); /* there is no logit for which it could have left */
    } else {
        offramp_apply(&stage->advance);
        offramp_runtime.stage++;
        offramp_runtime.current++;
        status = offramp_runtime.image->external(0u);
        status = status == OFFRAMP_OK ? start() : status;
        status = status == OFFRAMP_OK ? OFFRAMP_BUSY : status;
    }
    return status;
}

/* Polls stand for cycles where there is no clock, and where it stands still: a poll takes more than one. */
static bool late(const offramp_stage_t *stage)
{
    return (offramp_runtime.polls > stage->most_cycles) ||
           (offramp_now() - offramp_runtime.moved_at > stage->most_cycles);
}

static void moved(void)
{
    offramp_runtime.moved_at = offramp_now();
    offramp_runtime.polls = 0u;
}

/* Sends what the FIFO takes. True if it has taken all there is. */
static bool send(void)
{
    if (offramp_send_piece(&offramp_runtime.record->input, &offramp_runtime.piece, &offramp_runtime.sending)) {
        moved();
    }
    return piece_sent();
}

offramp_status_t offramp_poll_stage(offramp_result_t *result)
{
    const offramp_stage_t *stage = offramp_runtime.current;
    bool reads = reads_fifo(stage);
    bool sent = !reads || send();
    bool whole = !reads || (sent && (offramp_runtime.loaded == pixels_of(offramp_runtime.record)));
    bool over = late(stage); /* before the look: what is done by then is not late, however long this call is held up */
    offramp_status_t status = OFFRAMP_BUSY;
    offramp_runtime.polls++;
    if ((offramp_reg_read(stage->done_address) & offramp_runtime.header->done) != 0u) {
        if (early(stage) || !whole) {
            status = offramp_fail(OFFRAMP_E_EARLY);
        } else if (!offramp_guards_hold(&stage->control)) {
            status = offramp_fail(OFFRAMP_E_POWER);
        } else {
            status = finish(stage, result);
        }
    } else if (sent && !whole) {
        moved(); /* it is the application that is waited for */
        status = OFFRAMP_WANTS_INPUT;
    } else if (over) {
        status = offramp_fail(OFFRAMP_E_TIMEOUT);
    } else {
        /* Not yet. */
    }
    return status;
}
