/* Start-up for the emulator: no SDK, no C library, no interrupt. */
#include "reset.h"

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
