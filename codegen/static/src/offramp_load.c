/* Inputs: from bytes or words of the application to words of the accelerator. */
#include <stddef.h>

#include "offramp_internal.h"

/* Four words at a time where code is not built for size. */
#if !defined(OFFRAMP_SMALL) && defined(__OPTIMIZE_SIZE__)
#define OFFRAMP_SMALL 1
#elif !defined(OFFRAMP_SMALL)
#define OFFRAMP_SMALL 0
#endif

#define EVEN_BYTES 0x00FF00FFu
#define ODD_BYTES 0xFF00FF00u
#define LOWER_HALF 0x0000FFFFu
#define UPPER_HALF 0xFFFF0000u
#define SIGN_BITS 0x80808080u

/* Where the words of a run come from: byte k of word i is lanes[k][i * stride]. */
typedef struct {
    const uint8_t *lanes[4];
    uint32_t stride;
    uint32_t mask;      /* bytes of a word that mean something */
    uint32_t last_mask; /* the same of the last word */
    uint32_t flip;
    uint32_t words;
    uint32_t neighbours; /* words, counted from the first, that are four neighbouring bytes each */
    uint32_t transposed; /* words whose lanes can be read four at a time */
} source_t;

static uint32_t words_of(const offramp_input_t *input, uint32_t pixels)
{
    return (input->flags & OFFRAMP_INPUT_CHW) != 0u ? (pixels + 3u) / 4u : pixels;
}

/* Bytes: the lanes are pixels of a channel, or channels of a pixel. */
static void find_lanes(source_t *source, const offramp_input_t *input, const offramp_input_run_t *run,
                       const offramp_piece_t *piece)
{
    bool four_pixels = (input->flags & OFFRAMP_INPUT_CHW) != 0u;
    bool by_channel = (piece->format & OFFRAMP_HWC) == 0u;
    uint32_t channel_step = by_channel ? piece->pixels : 1u;
    uint32_t pixel_step = by_channel ? 1u : input->channels;
    bool neighbours = true;
    for (uint32_t k = 0u; k < 4u; k++) {
        uint32_t pixel = four_pixels ? k : 0u;
        bool used = ((run->mask >> (8u * k)) & 1u) != 0u;
        source->lanes[k] = piece->data + run->channels[k] * channel_step + pixel * pixel_step;
        /* A byte that is masked may be anything of the pixels that follow. */
        neighbours = neighbours && ((source->lanes[k] == source->lanes[0] + k) || (!used && !by_channel));
    }
    source->stride = four_pixels ? 4u * pixel_step : pixel_step;
    source->mask = run->mask;
    source->last_mask = run->mask;
    if (four_pixels && (piece->pixels % 4u != 0u)) {
        source->last_mask = UINT32_MAX >> (32u - 8u * (piece->pixels % 4u));
    }
    source->flip = (piece->format & OFFRAMP_UNSIGNED) != 0u ? SIGN_BITS : 0u;
    /* Four bytes from one of the last words on may reach behind the piece. */
    uint32_t last = (source->stride + 2u) / source->stride;
    source->neighbours = neighbours && (source->words > last) ? source->words - last : 0u;
    source->transposed = (source->stride == 1u) && !neighbours ? source->words & ~3u : 0u;
}

static source_t source_of(const offramp_input_t *input, const offramp_input_run_t *run, uint32_t number,
                          const offramp_piece_t *piece)
{
    source_t source = {{NULL, NULL, NULL, NULL}, 4u, UINT32_MAX, UINT32_MAX, 0u, 0u, 0u, 0u};
    source.words = words_of(input, piece->pixels);
    if (piece->format == OFFRAMP_PACKED) {
        source.lanes[0] = piece->data + 4u * number * source.words;
        source.neighbours = source.words;
    } else {
        find_lanes(&source, input, run, piece);
    }
    return source;
}

/* Any word. */
static uint32_t word_of(const source_t *source, uint32_t index)
{
    uint32_t mask = index + 1u == source->words ? source->last_mask : source->mask;
    uint32_t word = 0u;
    if (index < source->neighbours) {
        word = offramp_load_word(source->lanes[0] + index * source->stride);
    } else {
        for (uint32_t k = 0u; k < 4u; k++) {
            if (((mask >> (8u * k)) & 1u) != 0u) {
                word |= (uint32_t)source->lanes[k][index * source->stride] << (8u * k);
            }
        }
    }
    return (word ^ source->flip) & mask;
}

#if OFFRAMP_SMALL
static uint32_t write_fours(const source_t *source, uint32_t *address, uint32_t step)
{
    (void)source;
    (void)address;
    (void)step;
    return 0u;
}
#else
/* Four words of four neighbouring bytes each; not the last one. */
static inline void four_neighbours(const source_t *source, uint32_t index, uint32_t words[4])
{
    const uint8_t *bytes = source->lanes[0] + index * source->stride;
    words[0] = (offramp_load_word(bytes) ^ source->flip) & source->mask;
    words[1] = (offramp_load_word(bytes + source->stride) ^ source->flip) & source->mask;
    words[2] = (offramp_load_word(bytes + 2u * source->stride) ^ source->flip) & source->mask;
    words[3] = (offramp_load_word(bytes + 3u * source->stride) ^ source->flip) & source->mask;
}

/* Four pixels of four channels: a word of each channel comes in, a word of each pixel goes out. */
static inline void four_transposed(const source_t *source, uint32_t index, uint32_t words[4])
{
    uint32_t a = offramp_load_word(source->lanes[0] + index);
    uint32_t b = offramp_load_word(source->lanes[1] + index);
    uint32_t c = offramp_load_word(source->lanes[2] + index);
    uint32_t d = offramp_load_word(source->lanes[3] + index);
    uint32_t ab_even = (a & EVEN_BYTES) | ((b & EVEN_BYTES) << 8);
    uint32_t cd_even = (c & EVEN_BYTES) | ((d & EVEN_BYTES) << 8);
    uint32_t ab_odd = ((a >> 8) & EVEN_BYTES) | (b & ODD_BYTES);
    uint32_t cd_odd = ((c >> 8) & EVEN_BYTES) | (d & ODD_BYTES);
    words[0] = (((ab_even & LOWER_HALF) | (cd_even << 16)) ^ source->flip) & source->mask;
    words[1] = (((ab_odd & LOWER_HALF) | (cd_odd << 16)) ^ source->flip) & source->mask;
    words[2] = (((ab_even >> 16) | (cd_even & UPPER_HALF)) ^ source->flip) & source->mask;
    words[3] = (((ab_odd >> 16) | (cd_odd & UPPER_HALF)) ^ source->flip) & source->mask;
}

/* The next four words; the address behind them. */
static inline uint32_t write_four(uint32_t address, uint32_t step, const uint32_t words[4])
{
    for (uint32_t i = 0u; i < 4u; i++) {
        offramp_reg_write(address, words[i]);
        address += step;
    }
    return address;
}

/* As many words as can be had four at a time, from the first one on; how many that is. */
static uint32_t write_fours(const source_t *source, uint32_t *address, uint32_t step)
{
    uint32_t words[4];
    uint32_t index = 0u;
    for (; index + 4u <= source->neighbours; index += 4u) {
        four_neighbours(source, index, words);
        *address = write_four(*address, step, words);
    }
    for (; index < source->transposed; index += 4u) {
        four_transposed(source, index, words);
        *address = write_four(*address, step, words);
    }
    return index;
}
#endif

static void write_run(const source_t *source, uint32_t address, uint32_t step)
{
    for (uint32_t index = write_fours(source, &address, step); index < source->words; index++) {
        offramp_reg_write(address, word_of(source, index));
        address += step;
    }
}

void offramp_write_piece(const offramp_input_t *input, const offramp_piece_t *piece)
{
    const offramp_input_run_t *run = offramp_at(input->runs.at);
    for (uint32_t number = 0u; number < input->runs.count; number++) {
        source_t source = source_of(input, &run[number], number, piece);
        write_run(&source, run[number].address + words_of(input, piece->first) * run[number].step, run[number].step);
    }
}

bool offramp_piece_sent(const offramp_input_t *input, const offramp_piece_t *piece, const offramp_sending_t *sending)
{
    return sending->word == words_of(input, piece->pixels);
}

bool offramp_send_piece(const offramp_input_t *input, const offramp_piece_t *piece, offramp_sending_t *sending)
{
    const offramp_input_run_t *run = offramp_at(input->runs.at);
    source_t sources[OFFRAMP_PORTS];
    uint32_t first = sending->word;
    uint32_t port = sending->port;
    bool room = true;
    for (uint32_t number = 0u; number < input->runs.count; number++) {
        sources[number] = source_of(input, &run[number], number, piece);
    }
    while (room && (sending->word < sources[0].words)) {
        room = (offramp_reg_read(offramp_runtime.header->fifo_stat) & run[sending->port].full_bit) == 0u;
        if (room) {
            offramp_reg_write(run[sending->port].address, word_of(&sources[sending->port], sending->word));
            sending->port++;
            if (sending->port == input->runs.count) {
                sending->port = 0u;
                sending->word++;
            }
        }
    }
    return (sending->word != first) || (sending->port != port);
}
