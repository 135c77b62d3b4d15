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

/* The core divides each of its oscillators by up to 2^7. */
#define MOST_POWER 7u

/* The SDK's own wait for it takes SysTick. If it does not start, the accelerator does not answer, which is noticed. */
static void start_secondary_oscillator(void)
{
    MXC_GCR->clkctrl |= MXC_F_GCR_CLKCTRL_ISO_EN;
    for (uint32_t i = 0u; (i < CLOCK_LOOKS) && ((MXC_GCR->clkctrl & MXC_F_GCR_CLKCTRL_ISO_RDY) == 0u); i++) {
    }
}

static void set_accelerator_clock(uint32_t source, uint32_t divider)
{
    uint32_t others = MXC_GCR->pclkdiv & ~(MXC_F_GCR_PCLKDIV_CNNCLKDIV | MXC_F_GCR_PCLKDIV_CNNCLKSEL);
    MXC_GCR->pclkdiv =
        others | (divider << MXC_F_GCR_PCLKDIV_CNNCLKDIV_POS) | (source << MXC_F_GCR_PCLKDIV_CNNCLKSEL_POS);
}

#if OFFRAMP_PLL
static uint32_t clock_source;
static uint32_t clock_divider; /* as offramp_header_t has it */
static bool pll_started;       /* here, not by the application */

/* Early, because it takes a while; see await_source. */
static void start_source(uint32_t source)
{
    if (source == OFFRAMP_PLL_SOURCE) {
        pll_started = pll_started || ((MXC_GCR->ipll_ctrl & MXC_F_GCR_IPLL_CTRL_EN) == 0u);
        MXC_GCR->ipll_ctrl |= MXC_F_GCR_IPLL_CTRL_EN;
    } else if (source != 0u) {
        start_secondary_oscillator();
    } else {
        /* It is the core's clock. */
    }
}

/* If the PLL does not become ready, the accelerator does not answer, which is noticed. */
static void await_source(uint32_t source)
{
    if (source == OFFRAMP_PLL_SOURCE) {
        for (uint32_t i = 0u; (i < CLOCK_LOOKS) && ((MXC_GCR->ipll_ctrl & MXC_F_GCR_IPLL_CTRL_RDY) == 0u); i++) {
        }
    }
}

/* Ends even if the counter stands still: a look at it takes more than a cycle. */
static void wait_for_power(void)
{
    uint32_t cycles = (SystemCoreClock / 1000000u + 1u) * OFFRAMP_POWER_WAIT_US;
    uint32_t begun = offramp_port_cycles();
    for (uint32_t i = 0u; (i < cycles) && (offramp_port_cycles() - begun < cycles); i++) {
    }
}

static void select_clock(uint32_t source, uint32_t divider)
{
    clock_source = source;
    clock_divider = divider;
    await_source(source);
    set_accelerator_clock(source, offramp_divider(divider, false));
}

void offramp_port_run(bool runs)
{
    set_accelerator_clock(clock_source, offramp_divider(clock_divider, runs));
}

static void stop_source(void)
{
    if (pll_started) {
        MXC_GCR->ipll_ctrl &= ~MXC_F_GCR_IPLL_CTRL_EN;
        pll_started = false;
    }
}
#else
static void start_source(uint32_t source)
{
    (void)source;
}

static void wait_for_power(void)
{
}

static void select_clock(uint32_t source, uint32_t divider)
{
    if (source != 0u) {
        start_secondary_oscillator();
    }
    set_accelerator_clock(source, divider);
}

static void stop_source(void)
{
}
#endif

void offramp_port_power_on(uint32_t quadrants, uint32_t all, uint32_t source, uint32_t divider)
{
    start_source(source);
    MXC_GCFR->reg3 = all;       /* reset */
    MXC_GCFR->reg1 = quadrants; /* power of the weight memories */
    MXC_GCFR->reg0 = quadrants; /* power of the rest */
    wait_for_power();
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
    stop_source();
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
    if (divides(OFFRAMP_HZ_OF_IPO, core_hz, &power)) {
        (void)MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
    } else if (divides(OFFRAMP_HZ_OF_ISO, core_hz, &power)) {
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
