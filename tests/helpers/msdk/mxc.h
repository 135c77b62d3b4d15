#ifndef MXC_H
#define MXC_H

#include <stdint.h>

typedef struct {
    volatile uint32_t sysctrl, rst0, clkctrl, pm, reserved[2], pclkdiv, reserved_1c[2], pclkdis0;
} mxc_gcr_regs_t;

typedef struct {
    volatile uint32_t CTRL, LOAD, VAL;
} systick_t;

typedef struct {
    volatile uint32_t CPUID, ICSR, VTOR, AIRCR, SCR, CCR, SHPR[3], SHCSR, CFSR, HFSR;
} scb_t;

typedef struct {
    volatile uint32_t CTRL, CYCCNT;
} dwt_t;

typedef struct {
    volatile uint32_t DHCSR, DCRSR, DCRDR, DEMCR;
} core_debug_t;

#define MXC_GCR ((mxc_gcr_regs_t *)0x40000000)
#define SysTick ((systick_t *)0xE000E010)
#define SCB ((scb_t *)0xE000ED00)
#define DWT ((dwt_t *)0xE0001000)
#define CoreDebug ((core_debug_t *)0xE000EDF0)

#define MXC_F_GCR_PCLKDIV_CNNCLKDIV (7u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV1 (4u << 14)
#define MXC_F_GCR_PCLKDIV_CNNCLKSEL (1u << 17)
#define MXC_S_GCR_PCLKDIV_CNNCLKSEL_PCLK 0u

#define SysTick_CTRL_ENABLE_Msk (1u << 0)
#define SysTick_CTRL_TICKINT_Msk (1u << 1)
#define SysTick_CTRL_CLKSOURCE_Msk (1u << 2)
#define SysTick_CTRL_COUNTFLAG_Msk (1u << 16)
#define SCB_ICSR_PENDSTCLR_Msk (1u << 25)
#define DWT_CTRL_CYCCNTENA_Msk (1u << 0)
#define CoreDebug_DEMCR_TRCENA_Msk (1u << 24)

typedef enum { CNN_IRQn = 101 } IRQn_Type;
enum { MXC_ICC0 = 0, MXC_SYS_CLOCK_IPO = 0, MXC_SYS_PERIPH_CLOCK_CNN = 25, MXC_TMR0 = 0 };

static inline void __DSB(void)
{
    __asm__ volatile("dsb" ::: "memory");
}

static inline void __disable_irq(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
}

static inline uint32_t __get_PRIMASK(void)
{
    uint32_t masked;
    __asm__ volatile("mrs %0, primask" : "=r"(masked));
    return masked;
}

static inline void __set_PRIMASK(uint32_t masked)
{
    __asm__ volatile("msr primask, %0" ::"r"(masked) : "memory");
}

static inline void NVIC_EnableIRQ(IRQn_Type number)
{
    ((volatile uint32_t *)0xE000E100)[(uint32_t)number / 32u] = 1u << ((uint32_t)number % 32u);
}

static inline void NVIC_DisableIRQ(IRQn_Type number)
{
    ((volatile uint32_t *)0xE000E180)[(uint32_t)number / 32u] = 1u << ((uint32_t)number % 32u);
}

static inline void NVIC_ClearPendingIRQ(IRQn_Type number)
{
    ((volatile uint32_t *)0xE000E280)[(uint32_t)number / 32u] = 1u << ((uint32_t)number % 32u);
}

static inline void MXC_LP_EnterSleepMode(void)
{
    __asm__ volatile("wfi" ::: "memory");
}

/* Waits for the clock, as the SDK does. */
static inline int MXC_SYS_Clock_Select(int clock)
{
    while ((MXC_GCR->clkctrl & (1u << 27)) == 0u) {
    }
    return clock;
}

static inline int MXC_ICC_Enable(int cache)
{
    return cache;
}

static inline void SystemCoreClockUpdate(void)
{
}

static inline void MXC_SYS_ClockEnable(int clock)
{
    MXC_GCR->pclkdis0 &= ~(1u << clock);
}

static inline void MXC_SYS_ClockDisable(int clock)
{
    MXC_GCR->pclkdis0 |= 1u << clock;
}

static inline void MXC_TMR_SW_Start(int timer)
{
    (void)timer;
}

static inline unsigned int MXC_TMR_SW_Stop(int timer)
{
    (void)timer;
    return 1234u;
}

#endif
