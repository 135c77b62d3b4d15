/* A timer that counts the core's cycles, halved, and what a camera that keeps silent makes pass: the virtual board has no
 * timer of its own. */
#ifndef TMR_H
#define TMR_H

#include "mxc.h"

typedef struct {
    int pres, mode, bitMode, clock;
    uint32_t cmp_cnt;
    unsigned int pol;
} mxc_tmr_cfg_t;

enum { TMR_PRES_1, TMR_MODE_CONTINUOUS, TMR_BIT_MODE_32, MXC_TMR_APB_CLK };

extern uint32_t timer_passed;

static inline int MXC_TMR_Init(int timer, mxc_tmr_cfg_t *settings, bool pins)
{
    (void)timer;
    (void)settings;
    (void)pins;
    return E_NO_ERROR;
}

static inline void MXC_TMR_Start(int timer)
{
    (void)timer;
    CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
    DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
}

static inline uint32_t MXC_TMR_GetCount(int timer)
{
    (void)timer;
    return DWT->CYCCNT / 2u + timer_passed;
}

#endif
