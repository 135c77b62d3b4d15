#ifndef LP_H
#define LP_H

static inline void MXC_LP_EnterSleepMode(void)
{
    __asm__ volatile("wfi" ::: "memory");
}

#endif
