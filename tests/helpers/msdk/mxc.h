#ifndef MXC_H
#define MXC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    volatile uint32_t sysctrl, rst0, clkctrl, pm, ipll_ctrl, reserved_14, pclkdiv, reserved_1c[2], pclkdis0;
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

#define MXC_F_GCR_CLKCTRL_SYSCLK_DIV_POS 6
#define MXC_F_GCR_CLKCTRL_SYSCLK_DIV (7u << 6)
#define MXC_F_GCR_CLKCTRL_ISO_EN (1u << 18)
#define MXC_F_GCR_CLKCTRL_ISO_RDY (1u << 26)
#define MXC_F_GCR_PCLKDIV_CNNCLKDIV_POS 14
#define MXC_F_GCR_PCLKDIV_CNNCLKDIV (7u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV1 (4u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV2 (0u << 14)
#define MXC_F_GCR_PCLKDIV_CNNCLKSEL_POS 17
#define MXC_F_GCR_PCLKDIV_CNNCLKSEL (3u << 17) /* of the MAX78002; the MAX78000 has the lower bit */
#define MXC_F_GCR_IPLL_CTRL_EN (1u << 0)       /* of the MAX78002 */
#define MXC_F_GCR_IPLL_CTRL_RDY (1u << 1)
#define MXC_S_GCR_PCLKDIV_CNNCLKSEL_PCLK 0u

#define __NVIC_PRIO_BITS 3

#define E_NO_ERROR 0
#define SysTick_CTRL_ENABLE_Msk (1u << 0)
#define SysTick_CTRL_TICKINT_Msk (1u << 1)
#define SysTick_CTRL_CLKSOURCE_Msk (1u << 2)
#define SysTick_CTRL_COUNTFLAG_Msk (1u << 16)
#define SCB_ICSR_PENDSTCLR_Msk (1u << 25)
#define DWT_CTRL_CYCCNTENA_Msk (1u << 0)
#define CoreDebug_DEMCR_TRCENA_Msk (1u << 24)

typedef enum { CNN_IRQn = 101 } IRQn_Type;
enum { MXC_ICC0, MXC_TMR0 = 0, MXC_TMR1 = 1 };
enum { MXC_SYS_CLOCK_ISO = 0, MXC_SYS_CLOCK_IPO = 4, MXC_SYS_PERIPH_CLOCK_CNN = 25 };

extern uint32_t SystemCoreClock;

/* ---- CMSIS */

static inline void __DSB(void)
{
    __asm__ volatile("dsb" ::: "memory");
}

static inline void __disable_irq(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
}

static inline void __WFI(void)
{
    __asm__ volatile("wfi" ::: "memory");
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

static inline void NVIC_SetPriority(IRQn_Type number, uint32_t priority)
{
    ((volatile uint32_t *)0xE000E400)[(uint32_t)number / 4u] = priority << (8u * ((uint32_t)number % 4u) + 5u);
}

static inline uint32_t SysTick_Config(uint32_t cycles)
{
    SysTick->LOAD = cycles - 1u;
    SysTick->VAL = 0u;
    SysTick->CTRL = 7u;
    return 0u;
}

/* ---- drivers */

static inline int MXC_SYS_Clock_Select(int clock)
{
    MXC_GCR->clkctrl = (MXC_GCR->clkctrl & ~(7u << 9)) | ((uint32_t)clock << 9);
    while ((MXC_GCR->clkctrl & (1u << 27)) == 0u) {
    }
    return E_NO_ERROR;
}

static inline void MXC_ICC_Enable(int cache)
{
    (void)cache;
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

int MXC_DMA_Init(void);
int MXC_DMA_AcquireChannel(void);

#endif
