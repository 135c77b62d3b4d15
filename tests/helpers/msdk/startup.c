/* Vector table with the SDK's names, for the virtual board; all other exceptions are faults. */
#include "mxc.h"
#include "reset.h"

void CNN_IRQHandler(void);
void SysTick_Handler(void);

#ifndef CORE_HZ /* after reset, of the MAX78000 */
#define CORE_HZ 100000000u
#endif

uint32_t SystemCoreClock = CORE_HZ;

__attribute__((weak)) void CNN_IRQHandler(void)
{
    unexpected_exception();
}

__attribute__((weak)) void SysTick_Handler(void)
{
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
