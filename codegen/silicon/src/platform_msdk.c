/* The platform on the vendor's SDK: all calls to it are here. */
#include <stdio.h>

#include "mxc.h"

#include "silicon_platform.h"
#include "silicon_script.h"

#ifndef SILICON_BOARD
#define SILICON_BOARD "unknown"
#endif

static volatile uint32_t faults;

void silicon_platform_start(void)
{
    MXC_ICC_Enable(MXC_ICC0);
    MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
    SystemCoreClockUpdate();
    MXC_GCR->pclkdiv = (MXC_GCR->pclkdiv & ~(MXC_F_GCR_PCLKDIV_CNNCLKDIV | MXC_F_GCR_PCLKDIV_CNNCLKSEL)) |
                       MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV1 | MXC_S_GCR_PCLKDIV_CNNCLKSEL_PCLK;
    CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
    DWT->CYCCNT = 0;
    DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
}

const char *silicon_platform_board(void)
{
    return SILICON_BOARD;
}

void silicon_platform_clock(bool on)
{
    if (on) {
        MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_CNN);
    } else {
        MXC_SYS_ClockDisable(MXC_SYS_PERIPH_CLOCK_CNN);
    }
}

uint32_t silicon_platform_cycles(void)
{
    return DWT->CYCCNT;
}

void silicon_platform_wait(uint32_t microseconds)
{
    uint32_t cycles = microseconds * (SILICON_CORE_HZ / 1000000u);
    uint32_t start = DWT->CYCCNT;
    for (uint32_t i = 0; (i < cycles) && ((DWT->CYCCNT - start) < cycles); i++) { /* a round takes more than a cycle */
    }
}

uint32_t silicon_platform_faults(void)
{
    __DSB(); /* an imprecise fault of the last write comes now */
    uint32_t found = faults;
    faults = 0;
    return found;
}

const char *silicon_platform_fault_word(void)
{
    return "bus-fault";
}

void silicon_platform_print(const char *text)
{
    printf("%s", text);
    fflush(stdout);
}

/* A bus fault becomes a word in the log: the access is skipped and counted. Any other fault is our own, and ends the log
 * where it is. */
#define FAULT_LINE "silicon: fault that is no bus fault\n"
#define FRAME_PC 6
#define PRECISE (1u << 9)    /* of CFSR: a bus fault of a known instruction (Arm DDI 0403, B3.2.15) */
#define IMPRECISE (1u << 10) /* the same of an earlier write */

void silicon_fault(uint32_t *frame);
void HardFault_Handler(void);

__attribute__((used)) void silicon_fault(uint32_t *frame)
{
    uint32_t status = SCB->CFSR;
    if ((status & (PRECISE | IMPRECISE)) == 0u) {
        silicon_platform_print(FAULT_LINE);
        for (;;) {
        }
    }
    faults++;
    if ((status & PRECISE) != 0u) {
        uint32_t half_word = *(const volatile uint16_t *)(uintptr_t)frame[FRAME_PC];
        frame[FRAME_PC] += (half_word >= 0xE800u) ? 4u : 2u; /* instructions from 0xE800 on have two half-words */
    }
    SCB->CFSR = status; /* written as 1 to clear */
    SCB->HFSR = SCB->HFSR;
}

__attribute__((naked)) void HardFault_Handler(void)
{
    __asm__ volatile("tst lr, #4\n"
                     "ite eq\n"
                     "mrseq r0, msp\n"
                     "mrsne r0, psp\n"
                     "b silicon_fault\n");
}
