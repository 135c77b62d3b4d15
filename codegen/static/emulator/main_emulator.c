/* Answers one input after the other: OFFRAMP_INPUT_BYTES from "input", one record to "results". */
#include "offramp.h"
#include "semihosting.h"

typedef struct {
    int32_t error;
    offramp_result_t result;
} record_t;

_Static_assert(sizeof(record_t) == 4u * (4u + OFFRAMP_CLASSES), "the emulator reads records as 32-bit words");

int main(void)
{
    static int8_t image[OFFRAMP_INPUT_BYTES];
    int32_t input = semihosting_open("input", false);
    int32_t results = semihosting_open("results", true);
    if (input < 0 || results < 0) {
        semihosting_print("offramp: no stream to read inputs from or to write results to\n");
        return 1;
    }
    int error = offramp_init();
    while (error == OFFRAMP_OK && semihosting_read(input, image, sizeof image)) {
        record_t record = {0};
        record.error = offramp_load_input(image);
        if (record.error == OFFRAMP_OK) {
            record.error = offramp_infer(&record.result);
        }
        if (!semihosting_write(results, &record, sizeof record)) {
            return 1;
        }
    }
    offramp_deinit();
    return error == OFFRAMP_OK ? 0 : 1;
}
