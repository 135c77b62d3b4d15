/* Start-up for the emulator: no SDK, no C library. */
#include "startup.h"

#include "board_device.h"
#include "offramp.h"
#include "offramp_port.h"
#include "reset.h"

#define FREE_INTERRUPT 24u /* of GPIO 0, which the emulator does not have */
#define NVIC_ENABLE(number) (0xE000E100u + 4u * ((number) / 32u))
#define NVIC_DISABLE(number) (0xE000E180u + 4u * ((number) / 32u))
#define NVIC_BIT(number) (1u << ((number) % 32u))
#define TICK_CONTROL 0xE000E010u
#define TICK_RELOAD 0xE000E014u
#define TICK_VALUE 0xE000E018u
#define TICK_ON 7u /* enabled, with its exception, counting the core's clock */
#define TICK_CYCLES 100000u
#define INTERRUPT_CONTROL 0xE000ED04u
#define TICK_CLEAR (1u << 25)

__attribute__((weak)) void cnn_handler(void)
{
    offramp_on_interrupt();
}

__attribute__((weak)) void free_handler(void)
{
    unexpected_exception();
}

void startup_free_interrupt(bool on)
{
    offramp_reg_write(on ? NVIC_ENABLE(FREE_INTERRUPT) : NVIC_DISABLE(FREE_INTERRUPT), NVIC_BIT(FREE_INTERRUPT));
}

void startup_tick(bool on)
{
    offramp_reg_write(TICK_RELOAD, TICK_CYCLES - 1u);
    offramp_reg_write(TICK_VALUE, 0u);
    offramp_reg_write(TICK_CONTROL, on ? TICK_ON : 0u);
    offramp_reg_write(INTERRUPT_CONTROL, TICK_CLEAR);
}

void startup_mask(bool on)
{
    if (on) {
        __asm__ volatile("cpsid i" ::: "memory");
    } else {
        __asm__ volatile("cpsie i" ::: "memory");
    }
}

void startup_sleep(void)
{
    __asm__ volatile("wfi" ::: "memory");
}

typedef void (*vector_t)(void);

/* Interrupts that cannot come have no handler: the emulator says which one came. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    vector_t reset;
    vector_t exceptions[14];
    vector_t interrupts[BOARD_CNN_INTERRUPT + 1u];
} vectors = {image_stack,
             reset_handler,
             {unexpected_exception, unexpected_exception, unexpected_exception, unexpected_exception,
              unexpected_exception, unexpected_exception, unexpected_exception, unexpected_exception,
              unexpected_exception, unexpected_exception, unexpected_exception, unexpected_exception,
              unexpected_exception, unexpected_exception},
             {[FREE_INTERRUPT] = free_handler, [BOARD_CNN_INTERRUPT] = cnn_handler}};
