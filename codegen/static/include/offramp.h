/* Staged inference on the CNN accelerator: everything an application calls. Holds no model; an image, generated beside
 * it, does (<name>_image.h).
 *
 *     offramp_result_t result;
 *     offramp_status_t status = offramp_open(&digits_image, NULL);
 *     if (status == OFFRAMP_OK) {
 *         status = offramp_infer(DIGITS_MODEL, OFFRAMP_CHW, pixels, &result);
 *     }
 *
 * There is one accelerator, so there is one runtime, and at most one image is open.
 *
 * Who may call what, from where
 *   - Every call takes a lock that never waits: a call that meets another one, from another task or an interrupt,
 *     returns OFFRAMP_BUSY and changes nothing. So calls may come from tasks and interrupts; one that comes in between
 *     has to try again.
 *   - While a stage runs (from offramp_begin until offramp_poll has returned something else than OFFRAMP_BUSY or
 *     OFFRAMP_WANTS_INPUT) the accelerator's memories are its own: all calls but offramp_poll, offramp_cancel,
 *     offramp_load of an input that goes through the FIFO, and those that only look return OFFRAMP_BUSY.
 *   - A call that needs an open image, an input or an answer that is not there returns OFFRAMP_NOT_READY.
 *   - offramp_on_interrupt is for the accelerator's interrupt handler, and nothing else is. Interrupts of a higher
 *     priority than that must not call offramp_poll or offramp_begin, and who waits for `notify` needs a time limit.
 *   - offramp_poll has to be called at least once in 2^32 cycles of the clock while a stage runs.
 *   - No call waits without bound. offramp_poll, offramp_begin and offramp_load do not wait at all; offramp_open,
 *     offramp_wake, offramp_self_test and a call that finds the accelerator to be loaded again take some milliseconds, and
 *     so does one that starts a stage, or another model than the last one, whose weights are written then (`reload:
 *     allowed`); where these are outside flash (`reload: external`), as long as the application takes to read them.
 *   - No heap, no recursion. Constant data is never written.
 *
 * Never a wrong answer with OFFRAMP_OK: docs/FAULTS.md of the generator lists what is noticed and what cannot be.
 * After OFFRAMP_E_TIMEOUT, OFFRAMP_E_EARLY, OFFRAMP_E_POWER, OFFRAMP_E_MEMORY or OFFRAMP_E_EXTERNAL the accelerator is
 * reset and loaded again by the next offramp_load, offramp_begin or offramp_infer; nothing else has to be done. */
#ifndef OFFRAMP_H
#define OFFRAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    OFFRAMP_OK = 0,
    OFFRAMP_BUSY = 1,        /* a stage runs, or another call is in progress */
    OFFRAMP_WANTS_INPUT = 2, /* a stage waits for the rest of an input that goes through the FIFO */
    OFFRAMP_NOT_READY = -1,  /* not open, asleep, or no input or answer there */
    OFFRAMP_E_ARGUMENT = -2, /* a null pointer, no such model or stage, a size or order that does not fit */
    OFFRAMP_E_TIMEOUT = -3,  /* the accelerator did not finish in time */
    OFFRAMP_E_EARLY = -4,    /* it says that it has finished before it can have */
    OFFRAMP_E_POWER = -5,    /* it is not there, or has lost its power or its registers; where that happens while a stage
                                runs, OFFRAMP_E_TIMEOUT is more usual */
    OFFRAMP_E_MEMORY = -6,   /* registers, weights or biases do not read back as written */
    OFFRAMP_E_IMAGE = -7,    /* the image in flash is damaged, or of another format */
    OFFRAMP_E_EXTERNAL = -8  /* weights outside flash cannot be read, are damaged or those of another image */
} offramp_status_t;

/* A generated image; see <name>_image.h. */
typedef struct offramp_image offramp_image_t;

/* How bytes of an input lie in the application's memory. Values are signed; with OFFRAMP_UNSIGNED added they are
 * 0..255 and 128 is subtracted on the way. Any alignment will do for bytes; words have to be aligned. */
typedef uint32_t offramp_format_t;
#define OFFRAMP_CHW 0u    /* bytes in the order channel, row, column */
#define OFFRAMP_HWC 1u    /* bytes in the order row, column, channel, as cameras deliver them */
#define OFFRAMP_PACKED 2u /* 32-bit words as the accelerator holds them; <name>_image.h tells which bytes are where */
#define OFFRAMP_UNSIGNED 0x10u /* not with OFFRAMP_PACKED */

/* What a stage's result is: channels x rows x columns signed values of 8 or 32 bits. */
typedef struct {
    uint32_t channels;
    uint32_t rows;
    uint32_t columns;
    uint32_t bits;
} offramp_shape_t;

#define OFFRAMP_NO_ANSWER UINT32_MAX

/* All zero after an error. */
typedef struct {
    uint32_t stage;       /* the stage that gave the answer, from 0 */
    uint32_t answer;      /* what the stage's class means: one of the model's answers; OFFRAMP_NO_ANSWER if it means none,
                           * which only a stage gives that was forced */
    uint32_t class_index; /* of the stage: of the largest logit, the lowest of equals; 0 if the result is none of logits */
    uint32_t confidence;  /* in the unit of the stage's measure, see offramp_confidence.h; 0 without one */
    uint32_t cycles;      /* of the clock, from offramp_begin to the answer; 0 without a clock */
} offramp_result_t;

typedef struct {
    /* Counts cycles of the core's clock, wraps at 2^32, and goes on while `wait` sleeps. Null: the port's counter;
     * with `wait`, which may stop that, none: waiting is then bounded by the number of polls, and a done flag that comes
     * too early is not noticed. */
    uint32_t (*clock)(void);
    uint32_t clock_step; /* what the clock advances by at once: 0 or 1 for a cycle counter */
    /* Called by offramp_infer between two polls: sleep until an interrupt, take a semaphore with a time limit. It has
     * to return within a time that the application chooses. Null: poll at once. */
    void (*wait)(void *context);
    /* Called by offramp_on_interrupt, from the interrupt: give the semaphore. */
    void (*notify)(void *context);
    void *context;
    bool interrupt;       /* switch the accelerator's interrupt on while a stage runs */
    bool check_registers; /* read all registers back before and after every inference, not only the cheap guard */
    bool check_weights;   /* read weights and biases back when the image is loaded */
} offramp_options_t;

/* Checks the image, powers the accelerator up, loads weights and biases of all models, but for those that are written
 * when they are needed (`reload: allowed`), and checks that it is there.
 * `options`: null for the defaults; they are copied. An image that is open already gives OFFRAMP_BUSY, one whose weights
 * outside flash are not there or those of another image OFFRAMP_E_EXTERNAL. */
offramp_status_t offramp_open(const offramp_image_t *image, const offramp_options_t *options);

/* Powers the accelerator down; weights are lost. Not while a stage runs. */
offramp_status_t offramp_close(void);

/* Copies `pixels` pixels of the input, beginning with pixel `first` in the order row, column, to the accelerator.
 * `data` holds all channels of these pixels as an input of that many pixels would: a camera's lines can be loaded as
 * they come. Pieces have to come in order; one with `first` 0 begins anew. Where the accelerator holds four pixels in a
 * word, `first` has to be a multiple of 4, and so has `pixels` but in the last piece.
 *
 * Where the input goes through the FIFO, `data` is kept and sent by offramp_poll: it must not change until that returns
 * OFFRAMP_WANTS_INPUT, which asks for the piece that follows (after the last one: for the first, if another stage
 * reads the input too), or the answer. A whole input is sent as often as it is needed. */
offramp_status_t offramp_load(uint32_t model, offramp_format_t format, const void *data, uint32_t first,
                              uint32_t pixels);

/* Starts an inference. `data`: the whole input; null if offramp_load has loaded it (all of it, and not used since: a
 * stage may overwrite it), or if it goes through the FIFO and will be loaded while the stage runs. */
offramp_status_t offramp_begin(uint32_t model, offramp_format_t format, const void *data);

/* Looks whether the stage that runs has finished, and starts the next one or gives the answer. OFFRAMP_BUSY: not yet.
 * OFFRAMP_NOT_READY: nothing runs. */
offramp_status_t offramp_poll(offramp_result_t *result);

/* Begins, waits and polls. `data`: as for offramp_begin, but nothing can follow: without it OFFRAMP_NOT_READY, unless all
 * of it has been loaded. */
offramp_status_t offramp_infer(uint32_t model, offramp_format_t format, const void *data, offramp_result_t *result);

/* Stops the stage that runs. Its inference gives no answer. */
offramp_status_t offramp_cancel(void);

/* Copies the whole result of the stage that has answered, in the order channel, row, column: as it is (8 or 32 bits a
 * value, offramp_shape tells), or widened to 32 bits. Until the next offramp_load, offramp_begin, offramp_sleep or
 * offramp_close. OFFRAMP_E_ARGUMENT if the buffer is too small. */
offramp_status_t offramp_output(void *buffer, size_t bytes);
offramp_status_t offramp_output_words(int32_t *values, size_t count);

/* From the interrupt handler of the accelerator: switches its interrupt off until the next stage starts, and calls
 * `notify`. A lost, late or repeated interrupt does no harm: offramp_poll looks at the accelerator itself. */
void offramp_on_interrupt(void);

/* A threshold at run time, in the unit of the stage's measure, for all of its classes that mean an answer; offramp_open
 * sets those of the plan. OFFRAMP_BY_CLASS, where the plan has different ones: each class its own. The last stage has
 * none, and that of a hardware exit stays as it is. */
#define OFFRAMP_BY_CLASS 0xFFFFFFFEu
offramp_status_t offramp_set_threshold(uint32_t model, uint32_t stage, uint32_t threshold);

/* Which stage answers: OFFRAMP_BY_CONFIDENCE, or that stage whatever it says (the last one: exits are off). Of a model
 * with hardware exits OFFRAMP_BY_CONFIDENCE only: OFFRAMP_E_ARGUMENT for others. */
#define OFFRAMP_BY_CONFIDENCE UINT32_MAX
offramp_status_t offramp_force_stage(uint32_t model, uint32_t stage);

/* Makes a model's rolling buffers, which keep data from one inference to the next, empty (zero): the next input is the
 * first one of a sequence. They are empty after offramp_open too, and whenever the accelerator has been loaded again:
 * after an error or offramp_cancel, and after offramp_wake from anything but OFFRAMP_SLEEP_CLOCK; the number of reloads
 * is in the statistics. An inference that leaves at a stage has written what the stages up to that one write. */
offramp_status_t offramp_forget(uint32_t model);

/* The threshold in force, and the answers that a stage has given since the image was opened or the statistics were
 * cleared. */
typedef struct {
    uint32_t threshold;
    uint32_t answers;
    uint32_t worst_cycles; /* of an answer, as in offramp_result_t */
    uint64_t cycles;       /* of all answers together */
} offramp_stage_statistics_t;

typedef struct {
    uint32_t begun;
    uint32_t cancelled;
    uint32_t errors;             /* of inferences, and of all other calls that found the accelerator or image damaged */
    uint32_t reloads;            /* how often everything was loaded again after one, or after offramp_cancel */
    offramp_status_t last_error; /* OFFRAMP_OK if there was none */
} offramp_statistics_t;

offramp_status_t offramp_statistics(offramp_statistics_t *statistics);
offramp_status_t offramp_stage_statistics(uint32_t model, uint32_t stage, offramp_stage_statistics_t *statistics);
offramp_status_t offramp_clear_statistics(void);

/* Reads back what is asked for: the image, in flash and outside, against its checksums, registers, biases, weights. After
 * OFFRAMP_E_MEMORY the next inference loads everything again. Loaded inputs stay; the answer too. */
#define OFFRAMP_TEST_IMAGE 1u
#define OFFRAMP_TEST_REGISTERS 2u
#define OFFRAMP_TEST_BIASES 4u
#define OFFRAMP_TEST_WEIGHTS 8u
#define OFFRAMP_TEST_ALL 15u
offramp_status_t offramp_self_test(uint32_t tests);

/* Between inferences. What is loaded again by offramp_wake:
 *   OFFRAMP_SLEEP_CLOCK    clock off: nothing
 *   OFFRAMP_SLEEP_RETAIN   power off but for the weight memories: registers and biases
 *   OFFRAMP_SLEEP_OFF      power off: everything
 * Inputs, answers and rolling buffers are lost, but with OFFRAMP_SLEEP_CLOCK. Until offramp_wake all calls that need the accelerator
 * return OFFRAMP_NOT_READY. */
typedef enum { OFFRAMP_SLEEP_CLOCK, OFFRAMP_SLEEP_RETAIN, OFFRAMP_SLEEP_OFF } offramp_sleep_t;
offramp_status_t offramp_sleep(offramp_sleep_t mode);
offramp_status_t offramp_wake(void);

/* What an image says of itself; it need not be open. `digest`: the first bytes of the plan's SHA-256, as in plan.json. */
typedef struct {
    uint32_t format; /* version of the image's layout */
    uint32_t bytes;
    uint32_t models;
    uint8_t digest[16];
} offramp_image_info_t;

offramp_status_t offramp_image_info(const offramp_image_t *image, offramp_image_info_t *info);
offramp_status_t offramp_shape(const offramp_image_t *image, uint32_t model, uint32_t stage, offramp_shape_t *shape);

/* A short text, never null. */
const char *offramp_status_text(offramp_status_t status);

#ifdef __cplusplus
}
#endif

#endif
