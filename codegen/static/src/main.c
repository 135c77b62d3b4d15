/* Runs the sample inputs and compares with the known answers. */
#include <stdbool.h>
#include <stddef.h>

#include "offramp.h"
#include "offramp_platform.h"
#include "offramp_tables.h"

static void print_number(int32_t value)
{
    char text[12];
    char *at = &text[sizeof text - 1u];
    uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    *at = '\0';
    do {
        at--;
        *at = (char)('0' + (char)(rest % 10u));
        rest /= 10u;
    } while (rest != 0u);
    if (value < 0) {
        at--;
        *at = '-';
    }
    offramp_platform_print(at);
}

static bool equal(const offramp_result_t *result, const offramp_known_answer_t *known)
{
    bool same = result->stage == known->stage;
    for (uint32_t i = 0; i < OFFRAMP_CLASSES; i++) {
        same = same && result->logits[i] == known->logits[i];
    }
    return same;
}

static bool passes(const offramp_known_answer_t *known)
{
    offramp_result_t result = {0};
    int error = offramp_load_input(known->input);
    offramp_platform_timer_start();
    if (error == OFFRAMP_OK) {
        error = offramp_infer(&result);
    }
    uint32_t microseconds = offramp_platform_timer_stop();
    if (error != OFFRAMP_OK) {
        offramp_platform_print("error ");
        print_number(error);
        offramp_platform_print("\n");
        return false;
    }
    offramp_platform_print(offramp_labels[result.class_index]);
    offramp_platform_print(", stage ");
    print_number((int32_t)result.stage);
    if (microseconds > 0u) {
        offramp_platform_print(", us: ");
        print_number((int32_t)microseconds);
    }
    bool same = equal(&result, known);
    offramp_platform_print(same ? "\n" : ": not the known answer\n");
    return same;
}

int main(void)
{
    offramp_platform_start();
    offramp_platform_print(OFFRAMP_NAME "\n");
    bool good = offramp_init() == OFFRAMP_OK;
    for (const offramp_known_answer_t *known = offramp_known_answers; good && known->input != NULL; known++) {
        good = passes(known);
    }
    offramp_deinit();
    offramp_platform_print(good ? "*** PASS ***\n" : "*** FAIL ***\n");
    return good ? 0 : 1;
}
