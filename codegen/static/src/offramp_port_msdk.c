/* The platform on the vendor's SDK. Define OFFRAMP_SLEEP=1 to sleep instead of polling while the accelerator works;
 * SysTick then bounds the wait and must not be in use otherwise. */
#include <stdio.h>

#include "mxc.h"

#include "gcfr_regs.h"

#include "offramp_model.h"
#include "offramp_platform.h"

#ifndef OFFRAMP_SLEEP
#define OFFRAMP_SLEEP 0
#endif

#ifndef OFFRAMP_TIMER
#define OFFRAMP_TIMER MXC_TMR0
#endif

#define ALL_QUADRANTS ((1u << OFFRAMP_DEVICE_QUADRANTS) - 1u)

void offramp_platform_start(void)
{
    MXC_ICC_Enable(MXC_ICC0);
    MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
    SystemCoreClockUpdate();
}

void offramp_platform_power_on(uint32_t quadrants)
{
    MXC_GCFR->reg3 = ALL_QUADRANTS;              /* reset */
    MXC_GCFR->reg1 = quadrants;                  /* mask memory power */
    MXC_GCFR->reg0 = quadrants;                  /* power */
    MXC_GCFR->reg2 = ALL_QUADRANTS & ~quadrants; /* isolation of the others */
    MXC_GCFR->reg3 = 0;
    MXC_GCR->pclkdiv = (MXC_GCR->pclkdiv & ~(MXC_F_GCR_PCLKDIV_CNNCLKDIV | MXC_F_GCR_PCLKDIV_CNNCLKSEL)) |
                       MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV1 | MXC_S_GCR_PCLKDIV_CNNCLKSEL_PCLK;
    MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_CNN);
}

void offramp_platform_power_off(void)
{
    MXC_SYS_ClockDisable(MXC_SYS_PERIPH_CLOCK_CNN);
    MXC_GCFR->reg3 = ALL_QUADRANTS;
    MXC_GCFR->reg2 = ALL_QUADRANTS;
    MXC_GCFR->reg0 = 0;
    MXC_GCFR->reg1 = 0;
    MXC_GCFR->reg3 = 0;
}

#if OFFRAMP_SLEEP
#define TICK_CYCLES (OFFRAMP_CNN_HZ / 1000u)
#define TICKING (SysTick_CTRL_CLKSOURCE_Msk | SysTick_CTRL_ENABLE_Msk)

/* With interrupts masked a pending one still ends the sleep, so there is no race between the look and the sleep. Both
 * sources are off again before interrupts are unmasked: no handler of ours exists or is needed. Returns whether a tick
 * has passed. */
static bool sleep_once(uint32_t address, uint32_t mask)
{
    uint32_t masked = __get_PRIMASK();
    __disable_irq();
    SysTick->CTRL = TICKING | SysTick_CTRL_TICKINT_Msk;
    NVIC_EnableIRQ(CNN_IRQn);
    if ((offramp_reg_read(address) & mask) == 0u) {
        MXC_LP_EnterSleepMode();
    }
    NVIC_DisableIRQ(CNN_IRQn);
    bool ticked = (SysTick->CTRL & SysTick_CTRL_COUNTFLAG_Msk) != 0u; /* reading clears it */
    SysTick->CTRL = TICKING;
    SCB->ICSR = SCB_ICSR_PENDSTCLR_Msk;
    __set_PRIMASK(masked);
    return ticked;
}

bool offramp_platform_wait(uint32_t address, uint32_t mask, uint32_t cycles)
{
    uint32_t ticks = cycles / TICK_CYCLES + 2u;
    NVIC_ClearPendingIRQ(CNN_IRQn); /* left from the last stage; sleep would end at once */
    SysTick->LOAD = OFFRAMP_CORE_HZ / 1000u - 1u;
    SysTick->VAL = 0;
    SysTick->CTRL = TICKING;
    bool done = false;
    while (!done && ticks > 0u) {
        ticks -= sleep_once(address, mask) ? 1u : 0u;
        done = (offramp_reg_read(address) & mask) != 0u;
    }
    SysTick->CTRL = 0;
    return done;
}
#else
bool offramp_platform_wait(uint32_t address, uint32_t mask, uint32_t cycles)
{
    /* A read over the bus takes longer than a cycle of the accelerator. */
    for (uint32_t i = 0; i < cycles; i++) {
        if ((offramp_reg_read(address) & mask) != 0u) {
            return true;
        }
    }
    return false;
}
#endif

void offramp_platform_timer_start(void)
{
    MXC_TMR_SW_Start(OFFRAMP_TIMER);
}

uint32_t offramp_platform_timer_stop(void)
{
    return (uint32_t)MXC_TMR_SW_Stop(OFFRAMP_TIMER);
}

void offramp_platform_print(const char *text)
{
    printf("%s", text);
    fflush(stdout);
}
