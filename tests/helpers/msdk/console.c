/* The console: what the SDK prints goes to the host. */
#include <stdarg.h>
#include <stdio.h>

#include "semihosting.h"

static void print_number(unsigned int value)
{
    char text[11];
    char *at = &text[10];
    *at = '\0';
    do {
        at--;
        *at = (char)('0' + (char)(value % 10u));
        value /= 10u;
    } while (value != 0u);
    semihosting_print(at);
}

int printf(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    for (; *format != '\0'; format++) {
        char text[2] = {*format, '\0'};
        if (*format != '%') {
            semihosting_print(text);
        } else if (*++format == 's') {
            semihosting_print(va_arg(values, const char *));
        } else {
            print_number(va_arg(values, unsigned int));
        }
    }
    va_end(values);
    return 0;
}
