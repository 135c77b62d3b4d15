/* Weights outside flash: a file that the application reads, piece by piece. What is used of it is checked against a
 * checksum in flash. Part of programs whose image has such a file. */
#include "offramp_external.h"

#include <stddef.h>

#include "offramp_internal.h"

#define PIECE_WORDS (OFFRAMP_FETCH_BYTES / 4u)

OFFRAMP_CHECK(file_has_no_padding, sizeof(offramp_file_t) == 4u * 8u);

static uint32_t piece[PIECE_WORDS]; /* what has been read last */

/* Reads what the file has from byte `from` on. */
static bool read_piece(uint32_t from, uint32_t bytes)
{
    return offramp_port_fetch(offramp_runtime.image, from, piece, bytes) == (int32_t)bytes;
}

/* The piece of a stage's words that begins with word `index`, added to a checksum. */
static bool read_next(const offramp_outside_t *outside, uint32_t index, uint32_t *crc)
{
    uint32_t left = 4u * (outside->words - index);
    uint32_t bytes = left < OFFRAMP_FETCH_BYTES ? left : OFFRAMP_FETCH_BYTES;
    bool good = read_piece(outside->at + 4u * index, bytes);
    *crc = offramp_crc32(*crc, (const uint8_t *)piece, bytes);
    return good;
}

/* ---- the file as a whole */

/* Whether the file begins as that of the image does. */
static bool header_fits(void)
{
    const uint32_t *digest = offramp_runtime.header->digest;
    bool good = read_piece(0u, sizeof(offramp_file_t));
    uint32_t wrong = (piece[0] ^ OFFRAMP_FILE_MAGIC) | (piece[3] ^ OFFRAMP_FORMAT);
    for (uint32_t i = 0u; i < 4u; i++) {
        wrong |= piece[4u + i] ^ digest[i];
    }
    return good && (wrong == 0u);
}

/* Whether it has the weights of all stages. How many, only the image says: the file is not believed. */
static bool file_intact(void)
{
    const offramp_stage_t *stage = offramp_at(offramp_runtime.header->stages.at);
    bool good = header_fits();
    for (uint32_t left = offramp_runtime.header->stages.count; left > 0u; left--) {
        uint32_t crc = 0u;
        for (uint32_t word = 0u; good && (word < stage->outside.words); word += PIECE_WORDS) {
            good = read_next(&stage->outside, word, &crc);
        }
        good = good && (crc == stage->outside.crc);
        stage++;
    }
    return good;
}

/* ---- what a stage needs of it */

/* Where and how much is written, only the image says. */
static bool load(const offramp_outside_t *outside)
{
    const offramp_chunk_t *chunk = offramp_at(outside->chunks.at);
    uint32_t crc = 0u;
    uint32_t word = 0u;
    bool good = true;
    for (uint32_t left = outside->chunks.count; good && (left > 0u); left--) {
        offramp_byte_write(chunk->address + 1u, 1u);
        for (uint32_t i = 0u; good && (i < chunk->words.count); i++) {
            if (word % PIECE_WORDS == 0u) {
                good = read_next(outside, word, &crc);
            }
            offramp_reg_write(chunk->address + 4u * i, piece[word % PIECE_WORDS]);
            word++;
        }
        chunk++;
    }
    return good && (crc == outside->crc);
}

/* Word `index` of what is sent for a chunk, as it reads back: a column byte less significant than the one before it. */
static uint32_t word_read(const offramp_chunk_t *chunk, uint32_t index)
{
    uint32_t bytes = offramp_runtime.header->column_bytes;
    uint32_t word = 0u;
    for (uint32_t i = 4u * index; i < 4u * index + 4u; i++) {
        uint32_t column = i / bytes;
        uint32_t byte = column < chunk->columns ? offramp_column_byte(chunk->plain + 16u * column, i % bytes) : 0u;
        word = (word << 8) | byte;
    }
    return word;
}

/* Whether it is what has been loaded. */
static bool holds(const offramp_outside_t *outside)
{
    const offramp_chunk_t *chunk = offramp_at(outside->chunks.at);
    uint32_t crc = 0u;
    offramp_apply(&offramp_runtime.header->readable);
    for (uint32_t left = outside->chunks.count; left > 0u; left--) {
        for (uint32_t i = 0u; i < chunk->words.count; i++) {
            uint32_t word = word_read(chunk, i);
            crc = offramp_crc32(crc, (const uint8_t *)&word, sizeof word);
        }
        chunk++;
    }
    offramp_apply(&offramp_runtime.header->init);
    return crc == outside->crc;
}

/* ---- for the rest of the runtime */

static offramp_status_t test(uint32_t tests)
{
    offramp_status_t status = OFFRAMP_OK;
    if (((tests & OFFRAMP_TEST_IMAGE) != 0u) && !file_intact()) {
        status = OFFRAMP_E_EXTERNAL;
    } else if (((tests & OFFRAMP_TEST_WEIGHTS) != 0u) && (offramp_runtime.record != NULL) &&
               !holds(&offramp_runtime.current->outside)) {
        status = OFFRAMP_E_MEMORY;
    } else {
        /* All is as it should be. */
    }
    return status;
}

offramp_status_t offramp_external(uint32_t tests)
{
    offramp_status_t status = OFFRAMP_OK;
    if (offramp_runtime.phase == OFFRAMP_CLOSED) {
        status = header_fits() ? OFFRAMP_OK : OFFRAMP_E_EXTERNAL;
    } else if (offramp_runtime.phase == OFFRAMP_RUNNING) {
        status = load(&offramp_runtime.current->outside) ? OFFRAMP_OK : OFFRAMP_E_EXTERNAL;
    } else {
        status = test(tests);
    }
    return status == OFFRAMP_OK ? status : offramp_fail(status);
}
