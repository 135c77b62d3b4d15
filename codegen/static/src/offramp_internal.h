/* Between the sources of the runtime; not for applications. */
#ifndef OFFRAMP_INTERNAL_H
#define OFFRAMP_INTERNAL_H

#include "offramp_image.h"
#include "offramp_port.h"

/* Set where code is built for size: what is only there for speed is left out. */
#if !defined(OFFRAMP_SMALL) && defined(__OPTIMIZE_SIZE__)
#define OFFRAMP_SMALL 1
#elif !defined(OFFRAMP_SMALL)
#define OFFRAMP_SMALL 0
#endif

/* ---- what is open and what runs */

/* A piece of an input in the application's memory: `pixels` pixels, all channels of them. */
typedef struct {
    const uint8_t *data;
    offramp_format_t format;
    uint32_t first;
    uint32_t pixels;
} offramp_piece_t;

#define OFFRAMP_PORTS 4u /* of the FIFO */

/* The next word to be sent to the FIFO: all ports get one in turn. */
typedef struct {
    uint32_t word;
    uint32_t port;
} offramp_sending_t;

typedef enum {
    OFFRAMP_CLOSED,
    OFFRAMP_READY,
    OFFRAMP_RUNNING,
    OFFRAMP_STALE, /* what the accelerator holds is not known: it is off, and has to be loaded again */
    OFFRAMP_ASLEEP
} offramp_phase_t;

typedef struct {
    const offramp_image_t *image;
    const offramp_header_t *header;
    offramp_options_t options;
    offramp_phase_t phase;
    offramp_sleep_t sleep;
    const offramp_model_t *record;  /* the model whose registers are in place, or null */
    const offramp_stage_t *current; /* of its stages the one that they are of */
    uint32_t stage;                 /* its number */
    uint32_t forced;                /* the stage that answers, or OFFRAMP_BY_CONFIDENCE */
    const offramp_model_t *input_model; /* whose input has been loaded, or null */
    uint32_t loaded;                    /* pixels of it; through the FIFO: with those of `piece` */
    bool answered;                      /* the result of `current` can be read */
    uint32_t begun_at;
    uint32_t started_at;
    uint32_t moved_at; /* when the stage started, or last took a word of the input */
    uint32_t polls;
    offramp_piece_t piece; /* through the FIFO: what is being sent */
    offramp_sending_t sending;
    offramp_statistics_t statistics;
} offramp_runtime_t;

extern offramp_runtime_t offramp_runtime;

/* What the open image holds at an offset. */
static inline const void *offramp_at(uint32_t offset)
{
    return (const uint8_t *)offramp_runtime.header + offset;
}

/* ---- offramp_load.c: inputs */

/* Writes a piece to data memory. */
void offramp_write_piece(const offramp_input_t *input, const offramp_piece_t *piece);

/* Sends what of a piece the FIFO takes now. True if it has taken a word at least. */
bool offramp_send_piece(const offramp_input_t *input, const offramp_piece_t *piece,
                        offramp_sending_t *sending);
bool offramp_piece_sent(const offramp_input_t *input, const offramp_piece_t *piece, const offramp_sending_t *sending);

/* ---- offramp_memory.c: bulk traffic with the accelerator */

/* Writes pairs of address and value, one after the other. */
void offramp_apply(const offramp_span_t *writes);

/* Biases, or the zeros of rolling buffers, runs of bytes: writes them, or tells whether they are there. */
bool offramp_bytes(const offramp_span_t *runs, bool write);

/* Writes weights, unless they are there, and bytes. */
void offramp_load_contents(const offramp_contents_t *contents, bool keep_weights);

/* Writes all registers of a model for one of its stages, and what others have overwritten of its weights and biases. */
void offramp_enter_model(const offramp_model_t *model, const offramp_stage_t *stage);

/* The registers of a model's first stage, by the shortest way there is. */
static inline void offramp_to_first_stage(const offramp_model_t *model, const offramp_stage_t *first)
{
    if (offramp_runtime.record == model) {
        offramp_apply(&offramp_runtime.current->restore);
    } else {
        offramp_enter_model(model, first);
    }
    offramp_runtime.record = model;
    offramp_runtime.current = first;
    offramp_runtime.stage = 0u;
}

#if OFFRAMP_KEEPS_REGISTERS
/* The registers of all models that entering one does not write. */
void offramp_load_registers(void);
#endif

/* CRC-32 (ISO-HDLC) of some bytes behind those that `crc` is of; 0 of none. */
uint32_t offramp_crc32(uint32_t crc, const uint8_t *bytes, uint32_t count);

/* Byte `index` of the column that is read at `address`: its first byte in a word of its own, then four bytes a word, the
 * first most significant. */
static inline uint8_t offramp_column_byte(uint32_t address, uint32_t index)
{
    uint32_t word = offramp_reg_read(address + ((index + 3u) & ~3u));
    return (uint8_t)(word >> (8u * ((0u - index) & 3u)));
}

/* Layers, streams and snoop units of some quadrants as after a reset, and no biases; what else there is may be lost. False
 * if that does not come to its end. */
#if OFFRAMP_CLEARS_REGISTERS
bool offramp_clear_registers(uint32_t quadrants);
#endif

/* Checks; each is true if what is there is what should be. */
bool offramp_image_intact(const offramp_image_t *image);
bool offramp_guards_hold(const offramp_span_t *guards);
bool offramp_registers_hold(const offramp_model_t *model, const offramp_stage_t *stage);
bool offramp_contents_hold(const offramp_contents_t *contents, uint32_t tests); /* OFFRAMP_TEST_BIASES, _WEIGHTS */

/* Copies a tensor out of data memory, in the order channel, row, column: widened to 32 bits, or as it is. */
void offramp_read_words(const offramp_tensor_t *tensor, int32_t *words);
void offramp_read_bytes(const offramp_tensor_t *tensor, uint8_t *bytes);

/* ---- offramp_block.c: the accelerator as a whole */

/* Takes the lock of all calls: OFFRAMP_OK, or OFFRAMP_BUSY if another call has it. Not inline: there are twenty. */
extern volatile uint32_t offramp_lock;
offramp_status_t offramp_enter(void);

/* What an image says of a model, or of a stage of it; null if it has none. */
const offramp_model_t *offramp_model(const offramp_header_t *image, uint32_t model);
const offramp_stage_t *offramp_stage(const offramp_header_t *image, uint32_t model, uint32_t stage);

/* The same of what changes at run time; the stage is one of the open image. */
offramp_stage_statistics_t *offramp_state(const offramp_stage_t *stage);

/* Whether the accelerator has kept its power since it was loaded. */
bool offramp_has_power(void);

/* 0 without a clock. */
uint32_t offramp_now(void);

/* From a block of which nothing is known (but its weights, with `keep_weights`) to one that holds the image. */
offramp_status_t offramp_load_block(bool keep_weights);

/* Switches the accelerator off, whatever it does; it is loaded again before it is used the next time. */
void offramp_drop(void);

/* The same, and counts and returns an error, which is told once. */
offramp_status_t offramp_fail(offramp_status_t status);

/* OFFRAMP_OK if the accelerator can be used now; it has been loaded again if need be. */
offramp_status_t offramp_make_ready(void);

offramp_status_t offramp_test_block(uint32_t tests);
offramp_status_t offramp_sleep_block(offramp_sleep_t mode);
offramp_status_t offramp_wake_block(void);

/* ---- offramp_stage.c: inferences */

offramp_status_t offramp_load_piece(uint32_t model, const offramp_piece_t *piece);
/* `whole`: without an input, all of it has to be loaded already, also one that goes through the FIFO. */
offramp_status_t offramp_begin_model(uint32_t model, const offramp_piece_t *input, bool whole);
offramp_status_t offramp_poll_stage(offramp_result_t *result);

#endif
