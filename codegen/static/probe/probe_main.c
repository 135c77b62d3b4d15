/* Prints a checksum of every layer's result, for every sample input, and all values of one that is not as it should be;
 * then what the exits do that the accelerator decides about: how many matches they count, and a checksum of what is in
 * the place of the next layer's result. `offramp probe` reads what is printed, and says whether exits do what they should.
 * Each line ends with a checksum of the lines so far.
 *
 * OFFRAMP_PROBE_VALUES: the number of a layer, in the order of the list, of which the values are printed for all inputs;
 * without it, those of the first result that differs are printed. */
#include <stddef.h>

#include "offramp_port.h"
#include "offramp_probe.h"

#ifndef OFFRAMP_PROBE_VALUES
#define OFFRAMP_PROBE_VALUES UINT32_MAX
#endif

#define LOG_VERSION 1u
#define VALUES_A_LINE 32u
#define WORDS_A_LINE 8u

static const char digits[] = "0123456789abcdef";
static char line[128];
static uint32_t length;
static uint32_t log_crc;

static void text(const char *from)
{
    for (uint32_t i = 0u; (from[i] != '\0') && (length < (sizeof(line) - 1u)); i++) {
        line[length] = from[i];
        length++;
    }
    line[length] = '\0';
}

static void hex(uint32_t value, uint32_t places)
{
    char found[9] = {'\0'};
    for (uint32_t i = 0u; i < places; i++) {
        found[i] = digits[(value >> (4u * (places - 1u - i))) & 15u];
    }
    text(found);
}

static void number(uint32_t value)
{
    char found[11] = {'\0'};
    uint32_t at = sizeof(found) - 1u;
    uint32_t rest = value;
    do {
        at--;
        found[at] = digits[rest % 10u];
        rest /= 10u;
    } while (rest != 0u);
    text(&found[at]);
}

static void named(const char *name, uint32_t value)
{
    text(name);
    number(value);
}

static void print_and_clear(void)
{
    offramp_port_print(line);
    length = 0u;
}

static void end_line(void)
{
    log_crc = offramp_probe_crc(log_crc, (const uint8_t *)line, length);
    log_crc = offramp_probe_crc(log_crc, (const uint8_t *)"\n", 1u);
    print_and_clear();
    text(" #");
    hex(log_crc, 8u);
    text("\n");
    print_and_clear();
}

static void print_head(void)
{
    offramp_image_info_t info;
    named("offramp probe ", LOG_VERSION);
    end_line();
    (void)offramp_image_info(offramp_probe.image, &info);
    text("image ");
    for (uint32_t i = 0u; i < sizeof(info.digest); i++) {
        hex(info.digest[i], 2u);
    }
    named(" layers ", offramp_probe.layer_count);
    named(" inputs ", offramp_probe.input_count);
    end_line();
    for (uint32_t i = 0u; i < offramp_probe.input_count; i++) {
        const offramp_probe_input_t *input = &offramp_probe.inputs[i];
        named("input ", i);
        named(" model ", input->model);
        text(" crc ");
        hex(offramp_probe_crc(0u, (const uint8_t *)input->data, input->bytes), 8u);
        end_line();
    }
}

static void print_values(uint32_t number_of_layer, uint32_t number_of_input)
{
    const offramp_probe_layer_t *layer = &offramp_probe.layers[number_of_layer];
    uint32_t count = layer->shape.channels * layer->shape.rows * layer->shape.columns;
    uint32_t at_once = layer->shape.bits == 8u ? VALUES_A_LINE : WORDS_A_LINE;
    for (uint32_t first = 0u; first < count; first += at_once) {
        named("values ", number_of_layer);
        named(" input ", number_of_input);
        named(" from ", first);
        text(" ");
        for (uint32_t i = first; (i < (first + at_once)) && (i < count); i++) {
            hex(offramp_probe_value(layer, i), layer->shape.bits / 4u);
        }
        end_line();
    }
}

static void print_place(uint32_t number_of_layer, uint32_t number_of_input)
{
    const offramp_probe_layer_t *layer = &offramp_probe.layers[number_of_layer];
    named("layer ", number_of_layer);
    named(" input ", number_of_input);
    named(" model ", layer->model);
    named(" stage ", layer->stage);
    named(" layer ", layer->layer);
}

typedef enum { RIGHT, DIFFERS, FAILED, HIDDEN } result_t;

static result_t print_layer(uint32_t number_of_layer, uint32_t number_of_input)
{
    const offramp_probe_layer_t *layer = &offramp_probe.layers[number_of_layer];
    result_t result = HIDDEN;
    print_place(number_of_layer, number_of_input);
    if (layer->places == NULL) {
        text(" not visible");
    } else {
        offramp_status_t status = offramp_probe_run(layer, &offramp_probe.inputs[number_of_input]);
        if (status == OFFRAMP_OK) {
            uint32_t crc = offramp_probe_checksum(layer);
            result = crc == layer->wanted[number_of_input] ? RIGHT : DIFFERS;
            text(" crc ");
            hex(crc, 8u);
        } else {
            result = FAILED;
            text(" error ");
            text(offramp_status_text(status));
        }
    }
    end_line();
    return result;
}

/* Whether the values of the result that is in place are to be printed. */
static bool is_asked_for(uint32_t number_of_layer, bool first_that_differs)
{
    bool is_chosen = number_of_layer == OFFRAMP_PROBE_VALUES;
    return (OFFRAMP_PROBE_VALUES == UINT32_MAX) ? first_that_differs : is_chosen;
}

static bool print_layers(void)
{
    bool good = true;
    for (uint32_t layer = 0u; layer < offramp_probe.layer_count; layer++) {
        for (uint32_t input = 0u; input < offramp_probe.input_count; input++) {
            if (offramp_probe.layers[layer].model == offramp_probe.inputs[input].model) {
                result_t result = print_layer(layer, input);
                bool in_place = (result == RIGHT) || (result == DIFFERS);
                if (in_place && is_asked_for(layer, good && (result == DIFFERS))) {
                    print_values(layer, input);
                }
                good = good && ((result == RIGHT) || (result == HIDDEN));
            }
        }
    }
    return good;
}

static bool print_exit(uint32_t number_of_exit, uint32_t number_of_input)
{
    const offramp_probe_exit_t *asked = &offramp_probe.exits[number_of_exit];
    uint32_t matches = 0u;
    named("exit ", number_of_exit);
    named(" input ", number_of_input);
    named(" model ", asked->behind->model);
    named(" stage ", asked->stage);
    offramp_status_t status = offramp_probe_exit(asked, &offramp_probe.inputs[number_of_input], &matches);
    if (status == OFFRAMP_OK) {
        named(" matches ", matches);
        text(" crc ");
        hex(offramp_probe_checksum(asked->behind), 8u);
    } else {
        text(" error ");
        text(offramp_status_text(status));
    }
    end_line();
    return status == OFFRAMP_OK;
}

static bool print_exits(void)
{
    bool good = true;
    for (uint32_t exit = 0u; exit < offramp_probe.exit_count; exit++) {
        for (uint32_t input = 0u; input < offramp_probe.input_count; input++) {
            if (offramp_probe.exits[exit].behind->model == offramp_probe.inputs[input].model) {
                good = print_exit(exit, input) && good;
            }
        }
    }
    return good;
}

int main(void)
{
    offramp_port_start(offramp_probe.core_hz);
    print_head();
    offramp_status_t status = offramp_open(offramp_probe.image, NULL);
    bool good = status == OFFRAMP_OK;
    if (good) {
        good = print_layers();
        good = print_exits() && good;
        (void)offramp_close();
    } else {
        text("error ");
        text(offramp_status_text(status));
        end_line();
    }
    text("end");
    end_line();
    return good ? 0 : 1;
}
