/* Vector table with the SDK's names, for the virtual board; all other exceptions are faults. */
#include "mxc.h"
#include "semihosting.h"

extern uint32_t image_data_load[], image_data_start[], image_data_end[], image_bss_start[], image_bss_end[], image_stack[];

int main(void);
void reset_handler(void);
void CNN_IRQHandler(void);
void SysTick_Handler(void);

uint32_t SystemCoreClock = 100000000u;

static void unexpected_exception(void)
{
    semihosting_exit(SEMIHOSTING_FAULT, 0);
}

__attribute__((weak)) void CNN_IRQHandler(void)
{
    unexpected_exception();
}

__attribute__((weak)) void SysTick_Handler(void)
{
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
    vector_t faults[13];
    vector_t tick;
    vector_t interrupts[CNN_IRQn + 1];
} vectors = {image_stack,
             reset_handler,
             {unexpected_exception, unexpected_exception, unexpected_exception, unexpected_exception,
              unexpected_exception, unexpected_exception, unexpected_exception, unexpected_exception,
              unexpected_exception, unexpected_exception, unexpected_exception, unexpected_exception,
              unexpected_exception},
             SysTick_Handler,
             {[CNN_IRQn] = CNN_IRQHandler}};
