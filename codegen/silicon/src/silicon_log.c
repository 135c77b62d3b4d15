#include "silicon_log.h"

#include <stddef.h>

#include "silicon_platform.h"

#define POLYNOMIAL 0xEDB88320u
#define HEX_DIGITS 8u
#define DECIMAL_DIGITS 10u

static uint32_t line_number;
static uint32_t log_crc;

uint32_t silicon_crc(uint32_t crc, uint8_t byte)
{
    uint32_t state = ~crc ^ byte;
    for (uint32_t bit = 0; bit < 8u; bit++) {
        state = ((state & 1u) != 0u) ? ((state >> 1) ^ POLYNOMIAL) : (state >> 1);
    }
    return ~state;
}

static void put(const char *text)
{
    for (size_t at = 0; text[at] != '\0'; at++) {
        log_crc = silicon_crc(log_crc, (uint8_t)text[at]);
    }
    silicon_platform_print(text);
}

static void hex_text(uint32_t value, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (uint32_t at = 0; at < HEX_DIGITS; at++) {
        text[at] = digits[(value >> (4u * (HEX_DIGITS - 1u - at))) & 15u];
    }
    text[HEX_DIGITS] = '\0';
}

static void put_decimal(uint32_t value)
{
    char text[DECIMAL_DIGITS + 1u];
    uint32_t at = DECIMAL_DIGITS;
    uint32_t rest = value;
    text[at] = '\0';
    do {
        at--;
        text[at] = (char)('0' + (char)(rest % 10u));
        rest /= 10u;
    } while ((rest != 0u) && (at > 0u));
    put(&text[at]);
}

void silicon_log_begin(const char *word)
{
    put("silicon ");
    put_decimal(line_number);
    silicon_log_word(word);
}

void silicon_log_word(const char *word)
{
    put(" ");
    put(word);
}

void silicon_log_pair(const char *key, const char *value)
{
    silicon_log_word(key);
    put("=");
    put(value);
}

void silicon_log_hex(uint32_t value)
{
    char text[HEX_DIGITS + 1u];
    hex_text(value, text);
    silicon_log_word(text);
}

void silicon_log_decimal(const char *key, uint32_t value)
{
    silicon_log_word(key);
    put("=");
    put_decimal(value);
}

void silicon_log_end(void)
{
    char text[HEX_DIGITS + 1u];
    hex_text(log_crc, text);
    silicon_platform_print(" ");
    silicon_platform_print(text);
    silicon_platform_print("\n");
    line_number++;
}
