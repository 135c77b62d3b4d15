/* Start-up for the emulator: no SDK, no C library, no interrupt. */
#include <stdint.h>

#include "semihosting.h"

extern uint32_t image_data_load[], image_data_start[], image_data_end[], image_bss_start[], image_bss_end[], image_stack[];

int main(void);
void reset_handler(void);

static void unexpected_exception(void)
{
    semihosting_exit(SEMIHOSTING_FAULT, 0);
}

void reset_handler(void)
{
    for (uint32_t *from = image_data_load, *to = image_data_start; to < image_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = image_bss_start; to < image_bss_end; to++) {
        *to = 0;
    }
    semihosting_exit(SEMIHOSTING_FINISHED, main());
}

typedef void (*vector_t)(void);

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    vector_t reset;
    vector_t others[14];
} vectors = {image_stack,
             reset_handler,
             {unexpected_exception, unexpected_exception, unexpected_exception, unexpected_exception,
              unexpected_exception, unexpected_exception, unexpected_exception, unexpected_exception,
              unexpected_exception, unexpected_exception, unexpected_exception, unexpected_exception,
              unexpected_exception, unexpected_exception}};
