/* Inputs: from bytes or words of the application to words of the accelerator. */
#include <stddef.h>

#include "offramp_internal.h"

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
    source->last_mask = four_pixels ? UINT32_MAX >> (8u * ((0u - piece->pixels) % 4u)) : run->mask;
    source->flip = (piece->format & OFFRAMP_UNSIGNED) != 0u ? SIGN_BITS : 0u;
    /* Four bytes from one of the last words on may reach behind the piece. */
    uint32_t bytes = by_channel ? piece->pixels : piece->pixels * input->channels - run->channels[0];
    source->neighbours = neighbours && (bytes >= 4u) ? (bytes - 4u) / source->stride + 1u : 0u;
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
static uint32_t write_several(const source_t *source, uint32_t address, uint32_t step)
{
    (void)source;
    (void)address;
    (void)step;
    return 0u;
}

#else
/* Four words of four neighbouring bytes each. */
static inline void four_neighbours(const source_t *source, uint32_t index, uint32_t words[4])
{
    const uint8_t *bytes = source->lanes[0] + index * source->stride;
    words[0] = (offramp_load_word(bytes) ^ source->flip) & source->mask;
    words[1] = (offramp_load_word(bytes + source->stride) ^ source->flip) & source->mask;
    words[2] = (offramp_load_word(bytes + 2u * source->stride) ^ source->flip) & source->mask;
    words[3] = (offramp_load_word(bytes + 3u * source->stride) ^ source->flip) & source->mask;
}

/* Four pixels of four channels: a word of each channel comes in, a word of each pixel goes out. */
static inline void transpose(uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t words[4])
{
    uint32_t ab = (a & EVEN_BYTES) | ((b & EVEN_BYTES) << 8);
    uint32_t cd = (c & EVEN_BYTES) | ((d & EVEN_BYTES) << 8);
    words[0] = (ab & LOWER_HALF) | (cd << 16);
    words[2] = (ab >> 16) | (cd & UPPER_HALF);
    ab = ((a >> 8) & EVEN_BYTES) | (b & ODD_BYTES);
    cd = ((c >> 8) & EVEN_BYTES) | (d & ODD_BYTES);
    words[1] = (ab & LOWER_HALF) | (cd << 16);
    words[3] = (ab >> 16) | (cd & UPPER_HALF);
}

static inline void four_transposed(const source_t *source, uint32_t index, uint32_t words[4])
{
    transpose(offramp_load_word(source->lanes[0] + index), offramp_load_word(source->lanes[1] + index),
              offramp_load_word(source->lanes[2] + index), offramp_load_word(source->lanes[3] + index), words);
    words[0] = (words[0] ^ source->flip) & source->mask;
    words[1] = (words[1] ^ source->flip) & source->mask;
    words[2] = (words[2] ^ source->flip) & source->mask;
    words[3] = (words[3] ^ source->flip) & source->mask;
}

/* Four words, or those that are left. */
static inline void four_words(const source_t *source, uint32_t index, uint32_t words[4])
{
    if (index + 4u <= source->neighbours) {
        four_neighbours(source, index, words);
    } else if (index < source->transposed) {
        four_transposed(source, index, words);
    } else {
        for (uint32_t k = 0u; (k < 4u) && (index + k < source->words); k++) {
            words[k] = word_of(source, index + k);
        }
    }
}

/* What is written is not what is read: locals say so to the compiler. */
static uint32_t write_plain(const source_t *source, uint32_t address, uint32_t step)
{
    const uint8_t *bytes = source->lanes[0];
    uint32_t stride = source->stride;
    for (uint32_t left = source->neighbours / 4u; left > 0u; left--) {
        uint32_t a = offramp_load_word(bytes);
        uint32_t b = offramp_load_word(bytes + stride);
        uint32_t c = offramp_load_word(bytes + 2u * stride);
        uint32_t d = offramp_load_word(bytes + 3u * stride);
        offramp_reg_write(address, a);
        offramp_reg_write(address + step, b);
        offramp_reg_write(address + 2u * step, c);
        offramp_reg_write(address + 3u * step, d);
        bytes = &bytes[4u * stride];
        address += 4u * step;
    }
    return source->neighbours & ~3u;
}

static uint32_t write_masked(const source_t *source, uint32_t address, uint32_t step)
{
    const source_t local = *source;
    uint32_t fours = local.neighbours & ~3u;
    for (uint32_t index = 0u; index < fours; index += 4u) {
        uint32_t words[4];
        four_neighbours(&local, index, words);
        offramp_reg_write(address, words[0]);
        offramp_reg_write(address + step, words[1]);
        offramp_reg_write(address + 2u * step, words[2]);
        offramp_reg_write(address + 3u * step, words[3]);
        address += 4u * step;
    }
    return fours;
}

static uint32_t write_transposed(const source_t *source, uint32_t address, uint32_t step)
{
    const uint8_t *lane0 = source->lanes[0];
    const uint8_t *lane1 = source->lanes[1];
    const uint8_t *lane2 = source->lanes[2];
    const uint8_t *lane3 = source->lanes[3];
    const uint32_t flip = source->flip;
    const uint32_t mask = source->mask;
    const uint8_t *end = lane0 + source->transposed;
    while (lane0 != end) {
        uint32_t words[4];
        transpose(offramp_load_word(lane0), offramp_load_word(lane1), offramp_load_word(lane2), offramp_load_word(lane3),
                  words);
        offramp_reg_write(address, (words[0] ^ flip) & mask);
        offramp_reg_write(address + step, (words[1] ^ flip) & mask);
        offramp_reg_write(address + 2u * step, (words[2] ^ flip) & mask);
        offramp_reg_write(address + 3u * step, (words[3] ^ flip) & mask);
        lane0 += 4;
        lane1 += 4;
        lane2 += 4;
        lane3 += 4;
        address += 4u * step;
    }
    return source->transposed;
}

/* Words that lie one after the other here and there. */
static uint32_t write_copied(const source_t *source, uint32_t address)
{
    const uint8_t *bytes = source->lanes[0];
    for (uint32_t left = source->neighbours / 8u; left > 0u; left--) {
        for (uint32_t k = 0u; k < 32u; k += 16u) {
            uint32_t a = offramp_load_word(bytes + k);
            uint32_t b = offramp_load_word(bytes + k + 4u);
            uint32_t c = offramp_load_word(bytes + k + 8u);
            uint32_t d = offramp_load_word(bytes + k + 12u);
            offramp_reg_write(address + k, a);
            offramp_reg_write(address + k + 4u, b);
            offramp_reg_write(address + k + 8u, c);
            offramp_reg_write(address + k + 12u, d);
        }
        bytes += 32;
        address += 32u;
    }
    return source->neighbours & ~7u;
}

/* As many words as can be had several at a time, from the first one on; how many that is. */
static uint32_t write_several(const source_t *source, uint32_t address, uint32_t step)
{
    bool plain = (source->neighbours > 0u) && (source->flip == 0u) && (source->mask == UINT32_MAX);
    uint32_t written;
    if (plain && (source->stride == 4u) && (step == 4u)) {
        written = write_copied(source, address);
    } else if (plain) {
        written = write_plain(source, address, step);
    } else if (source->transposed > 0u) {
        written = write_transposed(source, address, step);
    } else {
        written = write_masked(source, address, step);
    }
    return written;
}
#endif

static void write_run(const source_t *source, uint32_t address, uint32_t step)
{
    for (uint32_t index = write_several(source, address, step); index < source->words; index++) {
        offramp_reg_write(address + index * step, word_of(source, index));
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

/* Sends words, one of each port in turn, until the FIFO is full or `end` is reached. */
#if OFFRAMP_SMALL
static void send_words(const offramp_input_run_t *run, uint32_t ports, const source_t *sources, uint32_t end,
                       offramp_sending_t *sending)
{
    uint32_t status = offramp_runtime.header->fifo_stat;
    bool room = true;
    while (room && (sending->word < end)) {
        room = (offramp_reg_read(status) & run[sending->port].full_bit) == 0u;
        if (room) {
            offramp_reg_write(run[sending->port].address, word_of(&sources[sending->port], sending->word));
            sending->port++;
            sending->word += sending->port / ports;
            sending->port %= ports;
        }
    }
}
#else
/* `words`: four of each port, of which the FIFO takes those from `sending->word` on. */
static bool send_block(const offramp_input_run_t *run, uint32_t ports, const uint32_t *words, uint32_t end,
                       offramp_sending_t *sending)
{
    uint32_t status = offramp_runtime.header->fifo_stat;
    uint32_t word = sending->word;
    uint32_t port = sending->port;
    bool room = true;
    while (room && (word < end)) {
        room = (offramp_reg_read(status) & run[port].full_bit) == 0u;
        if (room) {
            offramp_reg_write(run[port].address, words[4u * port + word % 4u]);
            port++;
            if (port == ports) {
                port = 0u;
                word++;
            }
        }
    }
    sending->word = word;
    sending->port = port;
    return room;
}

/* The same of a single port, as most networks have. */
static inline bool send_word(uint32_t status, const offramp_input_run_t *run, uint32_t value, uint32_t *word)
{
    bool room = (offramp_reg_read(status) & run->full_bit) == 0u;
    if (room) {
        offramp_reg_write(run->address, value);
        (*word)++;
    }
    return room;
}

static void send_alone(const offramp_input_run_t *port, const source_t *source, uint32_t end, offramp_sending_t *sending)
{
    const source_t local = *source;
    const offramp_input_run_t run = *port;
    uint32_t status = offramp_runtime.header->fifo_stat;
    uint32_t word = sending->word;
    bool room = true;
    while (room && (word < end)) {
        if ((word % 4u == 0u) && (word + 4u <= end)) {
            uint32_t words[4];
            four_words(&local, word, words);
            room = send_word(status, &run, words[0], &word) && send_word(status, &run, words[1], &word) &&
                   send_word(status, &run, words[2], &word) && send_word(status, &run, words[3], &word);
        } else {
            room = send_word(status, &run, word_of(&local, word), &word);
        }
    }
    sending->word = word;
}

static void send_words(const offramp_input_run_t *run, uint32_t ports, const source_t *sources, uint32_t end,
                       offramp_sending_t *sending)
{
    uint32_t words[4u * OFFRAMP_PORTS];
    bool room = ports > 1u;
    if (ports == 1u) {
        send_alone(run, sources, end, sending);
    }
    while (room && (sending->word < end)) {
        uint32_t first = sending->word & ~3u;
        for (uint32_t port = 0u; port < ports; port++) {
            four_words(&sources[port], first, &words[4u * port]);
        }
        room = send_block(run, ports, words, end - first < 4u ? end : first + 4u, sending);
    }
}
#endif

bool offramp_send_piece(const offramp_input_t *input, const offramp_piece_t *piece, offramp_sending_t *sending)
{
    const offramp_input_run_t *run = offramp_at(input->runs.at);
    const offramp_sending_t before = *sending;
    source_t sources[OFFRAMP_PORTS];
    for (uint32_t port = 0u; port < input->runs.count; port++) {
        sources[port] = source_of(input, &run[port], port, piece);
    }
    send_words(run, input->runs.count, sources, words_of(input, piece->pixels), sending);
    return (sending->word != before.word) || (sending->port != before.port);
}
