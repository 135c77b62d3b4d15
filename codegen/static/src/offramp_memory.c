/* Bulk traffic with the accelerator: registers, weights, biases, results; and whether it reads back as written. */
#include "offramp_internal.h"

OFFRAMP_CHECK(write_is_two_words, sizeof(offramp_write_t) == 8u);
OFFRAMP_CHECK(model_has_no_padding, sizeof(offramp_model_t) == 4u * 19u);
OFFRAMP_CHECK(stage_has_no_padding, sizeof(offramp_stage_t) == 4u * 40u);
OFFRAMP_CHECK(header_has_no_padding, sizeof(offramp_header_t) == 4u * 31u);

void offramp_apply(const offramp_span_t *writes)
{
    const offramp_write_t *write = offramp_at(writes->at);
    uint32_t left = writes->count;
#if !OFFRAMP_SMALL
    for (; left >= 8u; left -= 8u) {
        offramp_reg_write(write[0].address, write[0].value);
        offramp_reg_write(write[1].address, write[1].value);
        offramp_reg_write(write[2].address, write[2].value);
        offramp_reg_write(write[3].address, write[3].value);
        offramp_reg_write(write[4].address, write[4].value);
        offramp_reg_write(write[5].address, write[5].value);
        offramp_reg_write(write[6].address, write[6].value);
        offramp_reg_write(write[7].address, write[7].value);
        write += 8;
    }
#endif
    for (; left > 0u; left--) {
        offramp_reg_write(write->address, write->value);
        write++;
    }
}

bool offramp_registers_hold(const offramp_model_t *model, const offramp_stage_t *stage)
{
    const offramp_registers_t *run = offramp_at(model->registers.at);
    const uint32_t *value = offramp_at(stage->values.at);
    uint32_t wrong = 0u;
    for (uint32_t left = model->registers.count; left > 0u; left--) {
        uint32_t address = run->address;
        const uint32_t *end = value + run->count;
        while (value != end) {
            wrong |= offramp_reg_read(address) ^ *value;
            address += 4u;
            value++;
        }
        run++;
    }
    return wrong == 0u;
}

bool offramp_guards_hold(const offramp_span_t *guards)
{
    const offramp_guard_t *guard = offramp_at(guards->at);
    uint32_t wrong = 0u;
    for (uint32_t left = guards->count; left > 0u; left--) {
        wrong |= (offramp_reg_read(guard->address) ^ guard->value) & guard->mask;
        guard++;
    }
    return wrong == 0u;
}

static void load_weights(const offramp_span_t *chunks)
{
    const offramp_chunk_t *chunk = offramp_at(chunks->at);
    for (uint32_t left = chunks->count; left > 0u; left--) {
        const uint32_t *words = offramp_at(chunk->words.at);
        offramp_byte_write(chunk->address + 1u, 1u);
        for (uint32_t i = 0u; i < chunk->words.count; i++) {
            offramp_reg_write(chunk->address + 4u * i, words[i]);
        }
        chunk++;
    }
}

static bool weights_hold(const offramp_span_t *chunks)
{
    const offramp_chunk_t *chunk = offramp_at(chunks->at);
    uint32_t bytes = offramp_runtime.header->column_bytes;
    uint32_t wrong = 0u;
    offramp_apply(&offramp_runtime.header->readable);
    for (uint32_t left = chunks->count; left > 0u; left--) {
        const uint8_t *sent = offramp_at(chunk->words.at);
        for (uint32_t i = 0u; i < chunk->columns * bytes; i++) {
            uint32_t address = chunk->plain + 16u * (i / bytes);
            /* Of a word the most significant byte has been sent first. */
            wrong |= (uint32_t)offramp_column_byte(address, i % bytes) ^ sent[i ^ 3u];
        }
        chunk++;
    }
    offramp_apply(&offramp_runtime.header->init);
    return wrong == 0u;
}

bool offramp_bytes(const offramp_span_t *runs, bool write)
{
    const offramp_bytes_t *run = offramp_at(runs->at);
    uint32_t wrong = 0u;
    for (uint32_t left = runs->count; left > 0u; left--) {
        const uint8_t *bytes = offramp_at(run->bytes.at);
        for (uint32_t i = 0u; i < run->bytes.count; i++) {
            uint32_t address = run->address + 4u * i;
            if (write) {
                offramp_reg_write(address, bytes[i]);
            } else {
                wrong |= (offramp_reg_read(address) ^ bytes[i]) & 0xFFu;
            }
        }
        run++;
    }
    return wrong == 0u;
}

void offramp_load_contents(const offramp_contents_t *contents, bool keep_weights)
{
    if (!keep_weights) {
        load_weights(&contents->weights);
    }
    (void)offramp_bytes(&contents->loaded, true);
}

static void write_registers(const offramp_model_t *model, const offramp_stage_t *stage, uint32_t runs)
{
    const offramp_registers_t *run = offramp_at(model->registers.at);
    const uint32_t *value = offramp_at(stage->values.at);
    for (uint32_t left = runs; left > 0u; left--) {
        uint32_t address = run->address;
        const uint32_t *end = value + run->count;
        while (value != end) {
            offramp_reg_write(address, *value);
            address += 4u;
            value++;
        }
        run++;
    }
}

void offramp_enter_model(const offramp_model_t *model, const offramp_stage_t *stage)
{
    write_registers(model, stage, model->entered);
    offramp_load_contents(&model->contents, false);
}

#if OFFRAMP_KEEPS_REGISTERS
void offramp_load_registers(void)
{
    const offramp_header_t *image = offramp_runtime.header;
    for (uint32_t i = 0u; i < image->models.count; i++) {
        const offramp_model_t *model = offramp_model(image, i);
        if (model->entered < model->registers.count) {
            write_registers(model, offramp_stage(image, i, 0u), model->registers.count);
        }
    }
}
#endif

bool offramp_contents_hold(const offramp_contents_t *contents, uint32_t tests)
{
    return (((tests & OFFRAMP_TEST_BIASES) == 0u) || offramp_bytes(&contents->biases, false)) &&
           (((tests & OFFRAMP_TEST_WEIGHTS) == 0u) || weights_hold(&contents->weights));
}

#if OFFRAMP_SMALL
/* A bit at a time. */
static inline uint32_t crc_of_byte(uint32_t crc)
{
    for (uint32_t bit = 0u; bit < 8u; bit++) {
        crc = (crc >> 1) ^ ((0u - (crc & 1u)) & 0xEDB88320u);
    }
    return crc;
}
#else
/* Four bits at a time, with a table of 64 bytes. */
static inline uint32_t crc_of_byte(uint32_t crc)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    crc = (crc >> 4) ^ table[crc & 15u];
    return (crc >> 4) ^ table[crc & 15u];
}
#endif

uint32_t offramp_crc32(uint32_t crc, const uint8_t *bytes, uint32_t count)
{
    crc = ~crc;
    for (uint32_t i = 0u; i < count; i++) {
        crc = crc_of_byte(crc ^ bytes[i]);
    }
    return ~crc;
}

bool offramp_image_intact(const offramp_image_t *image)
{
    const offramp_header_t *header = image->header;
    const uint8_t *covered = (const uint8_t *)&header->bytes;
    return (header->magic == OFFRAMP_MAGIC) && (header->bytes == image->bytes) &&
           (offramp_crc32(0u, covered, image->bytes - (uint32_t)(covered - (const uint8_t *)header)) == header->crc) &&
           (header->format == OFFRAMP_FORMAT);
}

#if !OFFRAMP_SMALL
/* Logits of 32 bits: each is a word of its own. */
static void read_whole_words(const uint32_t *place, const uint32_t *end, int32_t *words)
{
    while (place != end) {
        *words = (int32_t)offramp_reg_read(*place);
        words++;
        place++;
    }
}
#endif

void offramp_read_words(const offramp_tensor_t *tensor, int32_t *words)
{
    const uint32_t *place = offramp_at(tensor->places.at);
    const uint32_t *end = place + tensor->places.count;
    uint32_t pixels = tensor->rows * tensor->columns;
    uint32_t step = tensor->step;
    bool bytes = tensor->bits == 8u;
    uint32_t at = 0u;
    uint32_t word = 0u;
#if !OFFRAMP_SMALL
    if ((pixels == 1u) && !bytes) {
        read_whole_words(place, end, words);
        return;
    }
#endif
    for (; place != end; place++) {
        uint32_t address = *place & ~3u;
        uint32_t shift = 8u * (*place & 3u);
        const int32_t *behind = words + pixels;
        do {
            if (address != at) {
                word = offramp_reg_read(address);
                at = address;
            }
            *words = bytes ? (int8_t)(uint8_t)(word >> shift) : (int32_t)word;
            words++;
            address += step;
        } while (words != behind);
    }
}

void offramp_read_bytes(const offramp_tensor_t *tensor, uint8_t *bytes)
{
    const uint32_t *place = offramp_at(tensor->places.at);
    for (uint32_t channel = 0u; channel < tensor->channels; channel++) {
        uint32_t address = place[channel] & ~3u;
        uint32_t shift = 8u * (place[channel] & 3u);
        for (uint32_t left = tensor->rows * tensor->columns; left > 0u; left--) {
            uint32_t word = offramp_reg_read(address) >> shift;
            for (uint32_t k = 0u; k < tensor->bits; k += 8u) {
                *bytes = (uint8_t)(word >> k);
                bytes++;
            }
            address += tensor->step;
        }
    }
}
