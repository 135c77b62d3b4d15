/* Performs calls of offramp.h for the host, the emulator. The main program takes them from stream "calls", one after
 * the other; the free interrupt's handler performs what is in "interrupt", offramp_infer's wait what is in "wait". Each
 * is answered on "answers". Pointers among the arguments are addresses in the memory that HELLO tells: the host writes
 * inputs there and reads results. simulator/board/session.py is the host. */
#include "board_image.h"
#include "offramp.h"
#include "offramp_port.h"
#include "semihosting.h"
#include "startup.h"

typedef struct {
    uint32_t number; /* of the call, for its answer */
    uint32_t operation;
    uint32_t arguments[6];
} call_t;

typedef struct {
    uint32_t number;
    int32_t status;
    uint32_t words[3];
} answer_t;

/* What the host reads. */
_Static_assert(sizeof(offramp_result_t) == 20u, "five words");
_Static_assert(sizeof(offramp_statistics_t) == 20u, "five words");
_Static_assert(sizeof(offramp_stage_statistics_t) == 24u, "three words, one of nothing, and one of 64 bits");
_Static_assert(sizeof(offramp_image_info_t) == 28u, "three words and 16 bytes");
_Static_assert(sizeof(offramp_shape_t) == 16u, "four words");

/* Options of OPEN. */
#define OPEN_CLOCK 0x01u /* a clock of the application, with a step */
#define OPEN_WAIT 0x02u  /* a wait that performs calls */
#define OPEN_SLEEP 0x04u /* a wait that performs calls, then sleeps */
#define OPEN_INTERRUPT 0x08u
#define OPEN_CHECK_REGISTERS 0x10u
#define OPEN_CHECK_WEIGHTS 0x20u
#define OPEN_DEFAULTS 0x40u /* no options */

static int32_t calls, interrupt_calls, wait_calls, answers;
static volatile uint32_t notified;
static uint32_t clock_step;

static bool serve(int32_t stream);

static void *pointer(uint32_t address)
{
    return (void *)(uintptr_t)address;
}

/* ---- what the options name */

static uint32_t coarse_clock(void)
{
    uint32_t cycles = offramp_port_cycles();
    return clock_step > 1u ? cycles - cycles % clock_step : cycles;
}

static void notify(void *context)
{
    (void)context;
    notified = 1u;
}

static void wait(void *context)
{
    (void)context;
    while (serve(wait_calls)) {
    }
}

/* With interrupts masked, one that comes between the look at `notified` and the sleep still ends the sleep. The tick,
 * which belongs to this application, bounds it. */
static void wait_asleep(void *context)
{
    wait(context);
    startup_tick(true);
    startup_mask(true);
    if (notified == 0u) {
        startup_sleep();
    }
    startup_tick(false);
    startup_mask(false);
    notified = 0u;
}

/* ---- calls */

typedef int32_t (*operation_t)(const uint32_t *arguments, answer_t *answer);

static const offramp_image_t *image(uint32_t number)
{
    return number < sizeof board_images / sizeof board_images[0] ? board_images[number] : NULL;
}

static int32_t call_hello(const uint32_t *arguments, answer_t *answer)
{
    (void)arguments;
    answer->words[0] = (uint32_t)(uintptr_t)image_free_start;
    answer->words[1] = (uint32_t)(uintptr_t)image_free_end;
    answer->words[2] = sizeof board_images / sizeof board_images[0];
    return OFFRAMP_OK;
}

static int32_t call_open(const uint32_t *arguments, answer_t *answer)
{
    uint32_t chosen = arguments[1];
    offramp_options_t options = {0};
    (void)answer;
    clock_step = arguments[2];
    options.clock_step = clock_step;
    options.clock = (chosen & OPEN_CLOCK) != 0u ? coarse_clock : NULL;
    options.wait = (chosen & OPEN_WAIT) != 0u ? wait : NULL;
    if ((chosen & OPEN_SLEEP) != 0u) {
        options.wait = wait_asleep;
        options.notify = notify;
    }
    options.interrupt = (chosen & OPEN_INTERRUPT) != 0u;
    options.check_registers = (chosen & OPEN_CHECK_REGISTERS) != 0u;
    options.check_weights = (chosen & OPEN_CHECK_WEIGHTS) != 0u;
    return offramp_open(image(arguments[0]), (chosen & OPEN_DEFAULTS) != 0u ? NULL : &options);
}

static int32_t call_close(const uint32_t *arguments, answer_t *answer)
{
    (void)arguments;
    (void)answer;
    return offramp_close();
}

static int32_t call_load(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_load(arguments[0], arguments[1], pointer(arguments[2]), arguments[3], arguments[4]);
}

static int32_t call_begin(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_begin(arguments[0], arguments[1], pointer(arguments[2]));
}

static int32_t call_poll(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_poll(pointer(arguments[0]));
}

static int32_t call_infer(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_infer(arguments[0], arguments[1], pointer(arguments[2]), pointer(arguments[3]));
}

static int32_t call_cancel(const uint32_t *arguments, answer_t *answer)
{
    (void)arguments;
    (void)answer;
    return offramp_cancel();
}

static int32_t call_output(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_output(pointer(arguments[0]), arguments[1]);
}

static int32_t call_output_words(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_output_words(pointer(arguments[0]), arguments[1]);
}

static int32_t call_set_threshold(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_set_threshold(arguments[0], arguments[1], arguments[2]);
}

static int32_t call_force_stage(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_force_stage(arguments[0], arguments[1]);
}

static int32_t call_statistics(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_statistics(pointer(arguments[0]));
}

static int32_t call_stage_statistics(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_stage_statistics(arguments[0], arguments[1], pointer(arguments[2]));
}

static int32_t call_clear_statistics(const uint32_t *arguments, answer_t *answer)
{
    (void)arguments;
    (void)answer;
    return offramp_clear_statistics();
}

static int32_t call_self_test(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_self_test(arguments[0]);
}

static int32_t call_sleep(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_sleep((offramp_sleep_t)arguments[0]);
}

static int32_t call_wake(const uint32_t *arguments, answer_t *answer)
{
    (void)arguments;
    (void)answer;
    return offramp_wake();
}

static int32_t call_image_info(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_image_info(image(arguments[0]), pointer(arguments[1]));
}

static int32_t call_shape(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_shape(image(arguments[0]), arguments[1], arguments[2], pointer(arguments[3]));
}

static int32_t call_status_text(const uint32_t *arguments, answer_t *answer)
{
    answer->words[0] = (uint32_t)(uintptr_t)offramp_status_text((offramp_status_t)(int32_t)arguments[0]);
    return OFFRAMP_OK;
}

static int32_t call_on_interrupt(const uint32_t *arguments, answer_t *answer)
{
    (void)arguments;
    (void)answer;
    offramp_on_interrupt();
    return OFFRAMP_OK;
}

static int32_t call_forget(const uint32_t *arguments, answer_t *answer)
{
    (void)answer;
    return offramp_forget(arguments[0]);
}

/* In the order of Operation in simulator/board/calls.py. */
static const operation_t operations[] = {
    call_hello, call_open, call_close,
    call_load, call_begin, call_poll,
    call_infer, call_cancel, call_output,
    call_output_words, call_set_threshold, call_force_stage,
    call_statistics, call_stage_statistics, call_clear_statistics,
    call_self_test, call_sleep, call_wake,
    call_image_info, call_shape, call_status_text,
    call_on_interrupt, call_forget,
};

/* Performs the next call of a stream; false if there is none, or the host cannot be answered. */
static bool serve(int32_t stream)
{
    call_t call;
    answer_t answer = {0};
    bool good = semihosting_read(stream, &call, sizeof call);
    if (good && call.operation < sizeof operations / sizeof operations[0]) {
        answer.number = call.number;
        answer.status = operations[call.operation](call.arguments, &answer);
        good = semihosting_write(answers, &answer, sizeof answer);
    }
    return good;
}

void free_handler(void)
{
    while (serve(interrupt_calls)) {
    }
}

int main(void)
{
    calls = semihosting_open("calls", false);
    interrupt_calls = semihosting_open("interrupt", false);
    wait_calls = semihosting_open("wait", false);
    answers = semihosting_open("answers", true);
    startup_free_interrupt(true);
    while (serve(calls)) {
    }
    return 0;
}
