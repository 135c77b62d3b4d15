#include "silicon.h"

#include <stdbool.h>

#include "silicon_log.h"
#include "silicon_platform.h"
#include "silicon_script.h"

#define PUSH_POLLS 1000000u /* reads of FIFO_STAT for one word */

typedef struct {
    uint32_t values[SILICON_MOST_VALUES];
    uint32_t noted;
    uint32_t sum;
    uint32_t began;   /* in cycles of the core */
    uint32_t elapsed; /* the same */
    bool timed_out;
    bool no_clock;
    uint32_t faults;
} state_t;

static void reg_write(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)address = value;
}

static uint32_t reg_read(uint32_t address)
{
    return *(volatile const uint32_t *)(uintptr_t)address;
}

static void note(state_t *state, uint32_t value)
{
    if (state->noted < SILICON_MOST_VALUES) {
        state->values[state->noted] = value;
        state->noted++;
    }
}

/* What was noted since the last line, and a word for each thing that went wrong; then all begins anew. */
static void say(state_t *state, const char *name)
{
    state->faults += silicon_platform_faults();
    silicon_log_begin("saw");
    silicon_log_word(name);
    if (state->faults > 0u) {
        silicon_log_word(silicon_platform_fault_word());
    }
    if (state->timed_out) {
        silicon_log_word("timeout");
    }
    if (state->no_clock) {
        silicon_log_word("no-clock");
    }
    for (uint32_t i = 0; i < state->noted; i++) {
        silicon_log_hex(state->values[i]);
    }
    silicon_log_end();
    state->noted = 0;
    state->sum = 0;
    state->faults = 0;
    state->timed_out = false;
    state->no_clock = false;
}

static void push(state_t *state, const silicon_step_t *step)
{
    for (uint32_t i = 0; (i < step->count) && !state->timed_out; i++) {
        uint32_t polls = 0;
        while (((reg_read(SILICON_FIFO_STAT) & step->value) != 0u) && (polls < PUSH_POLLS)) {
            polls++;
        }
        state->timed_out = polls == PUSH_POLLS;
        if (!state->timed_out) {
            reg_write(step->address, silicon_data[step->first + i]);
        }
    }
}

/* A read over the bus takes longer than a cycle of the accelerator, so `count` reads bound the wait without a clock. */
static void await(state_t *state, const silicon_step_t *step)
{
    bool done = false;
    state->faults += silicon_platform_faults();
    for (uint32_t i = 0; (i < step->count) && !done && (state->faults == 0u); i++) {
        done = (reg_read(step->address) & step->value) != 0u;
    }
    state->elapsed = silicon_platform_cycles() - state->began;
    state->timed_out = state->timed_out || (!done && (state->faults == 0u));
}

static void sum(state_t *state, const silicon_step_t *step)
{
    for (uint32_t i = 0; i < step->count; i++) {
        uint32_t word = reg_read(step->address + i * step->value);
        for (uint32_t byte = 0; byte < 4u; byte++) {
            state->sum = silicon_crc(state->sum, (uint8_t)(word >> (8u * byte)));
        }
    }
}

/* A bit reads back if it reads as 1 after it was written as 1, and as 0 after 0. Writes that the bus does not take count
 * as bits that do not. */
static void walk(state_t *state, const silicon_step_t *step)
{
    uint32_t found = 0;
    state->faults += silicon_platform_faults();
    for (uint32_t i = 0; i < 32u; i++) {
        uint32_t bit = step->value & (1u << i);
        if (bit != 0u) {
            reg_write(step->address, step->count | bit);
            bool set = (reg_read(step->address) & bit) != 0u;
            reg_write(step->address, step->count);
            bool cleared = (reg_read(step->address) & bit) == 0u;
            found |= (set && cleared) ? bit : 0u;
        }
    }
    (void)silicon_platform_faults();
    note(state, found);
}

static void transfer(const silicon_step_t *step)
{
    switch (step->code) {
    case SILICON_WRITE:
        reg_write(step->address, step->value);
        break;
    case SILICON_PAIRS:
        for (uint32_t i = 0; (i + 1u) < step->count; i += 2u) {
            reg_write(silicon_data[step->first + i], silicon_data[step->first + i + 1u]);
        }
        break;
    case SILICON_COPY:
        for (uint32_t i = 0; i < step->count; i++) {
            reg_write(step->address + 4u * i, silicon_data[step->first + i]);
        }
        break;
    case SILICON_FILL:
        for (uint32_t i = 0; i < step->count; i++) {
            reg_write(step->address + 4u * i, step->value);
        }
        break;
    case SILICON_COLUMN:
        *(volatile uint8_t *)(uintptr_t)step->address = 1u;
        break;
    default:
        break;
    }
}

static void measure(state_t *state, const silicon_step_t *step)
{
    switch (step->code) {
    case SILICON_PUSH:
        push(state, step);
        break;
    case SILICON_GO:
        state->began = silicon_platform_cycles();
        reg_write(step->address, step->value);
        break;
    case SILICON_AWAIT:
        await(state, step);
        break;
    case SILICON_TIME:
        state->no_clock = state->elapsed == 0u;
        note(state, state->elapsed / SILICON_CLOCK_RATIO);
        break;
    case SILICON_READ:
        note(state, reg_read(step->address) & ((step->value != 0u) ? step->value : 0xFFFFFFFFu));
        break;
    case SILICON_SUM:
        sum(state, step);
        break;
    case SILICON_SUMMED:
        note(state, state->sum);
        state->sum = 0;
        break;
    case SILICON_WALK:
        walk(state, step);
        break;
    default:
        break;
    }
}

static void execute(state_t *state, const silicon_step_t *step)
{
    switch (step->code) {
    case SILICON_ASK:
        silicon_log_begin("ask");
        silicon_log_word(silicon_names[step->value]);
        silicon_log_end();
        break;
    case SILICON_SAY:
        say(state, silicon_names[step->value]);
        break;
    case SILICON_CLOCK:
        silicon_platform_clock(step->value != 0u);
        break;
    case SILICON_WAIT:
        silicon_platform_wait(step->value);
        break;
    default:
        transfer(step);
        measure(state, step);
        break;
    }
}

void silicon_ask(void)
{
    static state_t state;
    silicon_log_begin("start");
    silicon_log_decimal("format", SILICON_FORMAT);
    silicon_log_pair("device", SILICON_DEVICE);
    silicon_log_pair("board", silicon_platform_board());
    silicon_log_pair("questions", SILICON_DIGEST);
    silicon_log_end();
    for (uint32_t i = 0; i < SILICON_STEPS; i++) {
        execute(&state, &silicon_steps[i]);
    }
    silicon_log_begin("end");
    silicon_log_end();
}
