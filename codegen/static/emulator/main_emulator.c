/* Answers one input after the other: BOARD_INPUT_BYTES from "input", one record to "results". */
#include "board_image.h"
#include "offramp.h"
#include "semihosting.h"

typedef struct {
    int32_t status;
    uint32_t class_index;
    uint32_t stage;
    uint32_t confidence;
    int32_t values[BOARD_VALUES];
} record_t;

static uint32_t input[(BOARD_INPUT_BYTES + 3u) / 4u];
static record_t record;

static void poll_at_once(void *context)
{
    (void)context;
}

static offramp_status_t answer(void)
{
    offramp_result_t result;
    offramp_status_t status = offramp_infer(0u, OFFRAMP_CHW, input, &result);
    record = (record_t){0};
    if (status == OFFRAMP_OK) {
        record.class_index = result.class_index;
        record.stage = result.stage;
        record.confidence = result.confidence;
        status = offramp_output_words(record.values, BOARD_VALUES);
    }
    record.status = (int32_t)status;
    return status;
}

int main(void)
{
    const offramp_options_t options = {.wait = poll_at_once}; /* without a clock */
    int32_t inputs = semihosting_open("input", false);
    int32_t results = semihosting_open("results", true);
    if ((inputs < 0) || (results < 0)) {
        semihosting_print("offramp: no stream to read inputs from or to write results to\n");
        return 1;
    }
    if (offramp_open(board_images[0], &options) != OFFRAMP_OK) {
        return 1;
    }
    while (semihosting_read(inputs, input, BOARD_INPUT_BYTES)) {
        (void)answer();
        if (!semihosting_write(results, &record, sizeof record)) {
            return 1;
        }
    }
    (void)offramp_close();
    return 0;
}
