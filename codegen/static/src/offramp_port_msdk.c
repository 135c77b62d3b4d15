/* The port on the vendor's SDK (MSDK, and MAX78000_SDK before it). It takes no timer and installs no interrupt handler:
 * an application that opens with `interrupt` gives the SDK one that calls offramp_on_interrupt, either by its name in the
 * vector table, which all versions of the SDK have,
 *
 *     void CNN_IRQHandler(void) { offramp_on_interrupt(); }
 *
 * or at run time with MXC_NVIC_SetVector(CNN_IRQn, offramp_on_interrupt); before offramp_open: it enables the interrupt. */
#include <stdio.h>

#include "mxc.h"

#include "gcfr_regs.h"

#include "offramp_port.h"

/* Looks at a clock's ready bit. It takes some ten microseconds to start; a look takes more than 20 ns. */
#define CLOCK_LOOKS 100000u

/* Oscillators of the core, each of which it divides by up to 2^7. */
#define HZ_OF_IPO 100000000u
#define HZ_OF_ISO 60000000u
#define MOST_POWER 7u

/* The SDK's own wait for it takes SysTick. If it does not start, the accelerator does not answer, which is noticed. */
static void start_secondary_oscillator(void)
{
    MXC_GCR->clkctrl |= MXC_F_GCR_CLKCTRL_ISO_EN;
    for (uint32_t i = 0u; (i < CLOCK_LOOKS) && ((MXC_GCR->clkctrl & MXC_F_GCR_CLKCTRL_ISO_RDY) == 0u); i++) {
    }
}

static void select_clock(uint32_t source, uint32_t divider)
{
    uint32_t others = MXC_GCR->pclkdiv & ~(MXC_F_GCR_PCLKDIV_CNNCLKDIV | MXC_F_GCR_PCLKDIV_CNNCLKSEL);
    if (source != 0u) {
        start_secondary_oscillator();
    }
    MXC_GCR->pclkdiv =
        others | (divider << MXC_F_GCR_PCLKDIV_CNNCLKDIV_POS) | (source << MXC_F_GCR_PCLKDIV_CNNCLKSEL_POS);
}

void offramp_port_power_on(uint32_t quadrants, uint32_t all, uint32_t source, uint32_t divider)
{
    MXC_GCFR->reg3 = all;              /* reset */
    MXC_GCFR->reg1 = quadrants;        /* power of the weight memories */
    MXC_GCFR->reg0 = quadrants;        /* power of the rest */
    MXC_GCFR->reg2 = all & ~quadrants; /* isolation of the others */
    MXC_GCFR->reg3 = 0u;
    select_clock(source, divider);
    MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_CNN);
}

void offramp_port_power_off(uint32_t all, bool keep)
{
    MXC_SYS_ClockDisable(MXC_SYS_PERIPH_CLOCK_CNN);
    MXC_GCFR->reg3 = all;
    MXC_GCFR->reg2 = all;
    MXC_GCFR->reg0 = 0u;
    if (!keep) {
        MXC_GCFR->reg1 = 0u;
    }
    MXC_GCFR->reg3 = 0u;
}

void offramp_port_clock(bool on)
{
    if (on) {
        MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_CNN);
    } else {
        MXC_SYS_ClockDisable(MXC_SYS_PERIPH_CLOCK_CNN);
    }
}

void offramp_port_interrupt(bool on)
{
    NVIC_DisableIRQ(CNN_IRQn);
    if (on) {
        NVIC_ClearPendingIRQ(CNN_IRQn);
        NVIC_EnableIRQ(CNN_IRQn);
    }
}

uint32_t offramp_port_cycles(void)
{
    if ((CoreDebug->DEMCR & CoreDebug_DEMCR_TRCENA_Msk) == 0u) {
        CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
    }
    if ((DWT->CTRL & DWT_CTRL_CYCCNTENA_Msk) == 0u) {
        DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
    }
    return DWT->CYCCNT;
}

static bool divides(uint32_t oscillator_hz, uint32_t core_hz, uint32_t *power)
{
    bool found = false;
    for (uint32_t i = 0u; !found && (i <= MOST_POWER); i++) {
        *power = i;
        found = ((oscillator_hz >> i) == core_hz) && (oscillator_hz % (1u << i) == 0u);
    }
    return found;
}

void offramp_port_start(uint32_t core_hz)
{
    uint32_t power = 0u;
    MXC_ICC_Enable(MXC_ICC0);
    if (divides(HZ_OF_IPO, core_hz, &power)) {
        (void)MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
    } else if (divides(HZ_OF_ISO, core_hz, &power)) {
        (void)MXC_SYS_Clock_Select(MXC_SYS_CLOCK_ISO);
    } else {
        power = 0u; /* no oscillator gives it: the one that the start-up code has chosen */
    }
    MXC_GCR->clkctrl =
        (MXC_GCR->clkctrl & ~MXC_F_GCR_CLKCTRL_SYSCLK_DIV) | (power << MXC_F_GCR_CLKCTRL_SYSCLK_DIV_POS);
    SystemCoreClockUpdate();
}

void offramp_port_print(const char *text)
{
    (void)printf("%s", text);
    (void)fflush(stdout);
}
