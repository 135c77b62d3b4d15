/* Loading the input: bytes in the order channel, row, column, or words as the accelerator takes them. */
#include "offramp_input.h"

#include <stddef.h>

#include "offramp_platform.h"
#include "offramp_tables.h"

#define EVEN_BYTES 0x00FF00FFu
#define ODD_BYTES 0xFF00FF00u
#define LOWER_HALF 0x0000FFFFu
#define UPPER_HALF 0xFFFF0000u

typedef struct {
    uint32_t word[4];
} block_t;

/* Four bytes from any address: a single load, which need not be aligned on this core. */
static inline uint32_t load_word(const int8_t *bytes)
{
    uint32_t word;
    __builtin_memcpy(&word, bytes, sizeof word);
    return word;
}

/* A block is four words; what is left goes word by word. */
#if OFFRAMP_INPUT_CHW
static const uint32_t full_blocks = OFFRAMP_INPUT_PIXELS / 16u;

typedef struct {
    const int8_t *pixels;
} source_t;

static inline source_t source_of(const offramp_input_run_t *run, const int8_t *chw)
{
    return (source_t){chw + run->offsets[0]};
}

/* Words 4 * block .. 4 * block + 3: sixteen pixels. */
static inline block_t block_of(const source_t *source, uint32_t block)
{
    const int8_t *pixels = source->pixels + 16u * block;
    return (block_t){{load_word(pixels), load_word(pixels + 4), load_word(pixels + 8), load_word(pixels + 12)}};
}

/* Any word; bytes behind the last pixel are 0. */
static uint32_t word_of(const source_t *source, uint32_t index)
{
    const int8_t *pixels = source->pixels + 4u * index;
    uint32_t left = OFFRAMP_INPUT_PIXELS - 4u * index;
    uint32_t word = 0;
    if (left >= 4u) {
        return load_word(pixels);
    }
    for (uint32_t lane = 0; lane < left; lane++) {
        word |= (uint32_t)(uint8_t)pixels[lane] << (8u * lane);
    }
    return word;
}
#else
static const uint32_t full_blocks = OFFRAMP_INPUT_PIXELS / 4u;

typedef struct {
    const int8_t *lanes[4];
    uint32_t mask;
} source_t;

static inline source_t source_of(const offramp_input_run_t *run, const int8_t *chw)
{
    return (source_t){{chw + run->offsets[0], chw + run->offsets[1], chw + run->offsets[2], chw + run->offsets[3]},
                      run->mask};
}

/* Four pixels: a word of each channel comes in, a word of each pixel goes out (4 x 4 bytes transposed). */
static inline block_t block_of(const source_t *source, uint32_t block)
{
    uint32_t a = load_word(source->lanes[0] + 4u * block);
    uint32_t b = load_word(source->lanes[1] + 4u * block);
    uint32_t c = load_word(source->lanes[2] + 4u * block);
    uint32_t d = load_word(source->lanes[3] + 4u * block);
    uint32_t ab_even = (a & EVEN_BYTES) | ((b & EVEN_BYTES) << 8);
    uint32_t cd_even = (c & EVEN_BYTES) | ((d & EVEN_BYTES) << 8);
    uint32_t ab_odd = ((a >> 8) & EVEN_BYTES) | (b & ODD_BYTES);
    uint32_t cd_odd = ((c >> 8) & EVEN_BYTES) | (d & ODD_BYTES);
    return (block_t){{((ab_even & LOWER_HALF) | (cd_even << 16)) & source->mask,
                      ((ab_odd & LOWER_HALF) | (cd_odd << 16)) & source->mask,
                      ((ab_even >> 16) | (cd_even & UPPER_HALF)) & source->mask,
                      ((ab_odd >> 16) | (cd_odd & UPPER_HALF)) & source->mask}};
}

/* One pixel. */
static uint32_t word_of(const source_t *source, uint32_t index)
{
    uint32_t word = 0;
    for (uint32_t lane = 0; lane < 4u; lane++) {
        word |= (uint32_t)(uint8_t)source->lanes[lane][index] << (8u * lane);
    }
    return word & source->mask;
}
#endif

#ifdef OFFRAMP_INPUT_FIFO
static const int8_t *frame; /* the application's; sent again for every stage that reads it */
static const uint32_t *packed_frame;

void offramp_input_take(const int8_t *chw)
{
    frame = chw;
    packed_frame = NULL;
}

void offramp_input_take_packed(const uint32_t *words)
{
    packed_frame = words;
}

static inline bool send_word(const offramp_input_run_t *run, uint32_t word, uint32_t *polls)
{
    while ((offramp_reg_read(OFFRAMP_FIFO_STAT) & run->full) != 0u) {
        if (*polls == 0u) {
            return false;
        }
        (*polls)--;
    }
    offramp_reg_write(run->address, word);
    return true;
}

static bool send_packed(uint32_t polls)
{
    bool sent = true;
    for (uint32_t index = 0; index < OFFRAMP_INPUT_WORDS && sent; index++) {
        for (uint32_t i = 0; i < OFFRAMP_INPUT_RUNS && sent; i++) {
            sent = send_word(&offramp_input_runs[i], packed_frame[i * OFFRAMP_INPUT_WORDS + index], &polls);
        }
    }
    return sent;
}

/* The same word of a block of each run. */
static inline bool send_row(const block_t *blocks, uint32_t k, uint32_t *polls)
{
    bool sent = true;
    for (uint32_t i = 0; i < OFFRAMP_INPUT_RUNS && sent; i++) {
        sent = send_word(&offramp_input_runs[i], blocks[i].word[k], polls);
    }
    return sent;
}

static bool send_bytes(uint32_t polls)
{
    source_t sources[OFFRAMP_INPUT_RUNS];
    block_t blocks[OFFRAMP_INPUT_RUNS];
    bool sent = true;
    for (uint32_t i = 0; i < OFFRAMP_INPUT_RUNS; i++) {
        sources[i] = source_of(&offramp_input_runs[i], frame);
    }
    for (uint32_t block = 0; block < full_blocks && sent; block++) {
        for (uint32_t i = 0; i < OFFRAMP_INPUT_RUNS; i++) {
            blocks[i] = block_of(&sources[i], block);
        }
        sent = send_row(blocks, 0, &polls) && send_row(blocks, 1, &polls) && send_row(blocks, 2, &polls) &&
               send_row(blocks, 3, &polls);
    }
    for (uint32_t index = 4u * full_blocks; index < OFFRAMP_INPUT_WORDS && sent; index++) {
        for (uint32_t i = 0; i < OFFRAMP_INPUT_RUNS && sent; i++) {
            sent = send_word(&offramp_input_runs[i], word_of(&sources[i], index), &polls);
        }
    }
    return sent;
}

bool offramp_input_send(uint32_t polls)
{
    return packed_frame != NULL ? send_packed(polls) : send_bytes(polls);
}
#else
/* Channels that lie row by row are written word after word; saying so lets the compiler count on it. */
static inline uint32_t step_of(const offramp_input_run_t *run)
{
    return OFFRAMP_INPUT_CHW ? 4u : run->step;
}

static const uint32_t packed_blocks = OFFRAMP_INPUT_WORDS / 4u;
static const uint32_t packed_rest = OFFRAMP_INPUT_WORDS % 4u;

static inline void write_block(uint32_t address, uint32_t step, block_t words)
{
    offramp_reg_write(address, words.word[0]);
    offramp_reg_write(address + step, words.word[1]);
    offramp_reg_write(address + 2u * step, words.word[2]);
    offramp_reg_write(address + 3u * step, words.word[3]);
}

void offramp_input_take(const int8_t *chw)
{
    for (uint32_t i = 0; i < OFFRAMP_INPUT_RUNS; i++) {
        source_t source = source_of(&offramp_input_runs[i], chw);
        uint32_t step = step_of(&offramp_input_runs[i]);
        uint32_t address = offramp_input_runs[i].address;
        for (uint32_t block = 0; block < full_blocks; block++) {
            write_block(address, step, block_of(&source, block));
            address += 4u * step;
        }
        for (uint32_t index = 4u * full_blocks; index < OFFRAMP_INPUT_WORDS; index++) {
            offramp_reg_write(address, word_of(&source, index));
            address += step;
        }
    }
}

void offramp_input_take_packed(const uint32_t *words)
{
    for (uint32_t i = 0; i < OFFRAMP_INPUT_RUNS; i++) {
        uint32_t step = step_of(&offramp_input_runs[i]);
        uint32_t address = offramp_input_runs[i].address;
        for (uint32_t block = 0; block < packed_blocks; block++) {
            write_block(address, step, (block_t){{words[0], words[1], words[2], words[3]}});
            address += 4u * step;
            words += 4;
        }
        for (uint32_t left = 0; left < packed_rest; left++) {
            offramp_reg_write(address, *words++);
            address += step;
        }
    }
}
#endif
