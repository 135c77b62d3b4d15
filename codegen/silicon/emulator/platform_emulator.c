/* The platform without an SDK, on the virtual board. */
#include "semihosting.h"
#include "silicon_platform.h"
#include "silicon_script.h"

/* The core's cycle counter (Arm DDI 0403, C1.6 and C1.8). */
#define CORE_DWT_CTRL 0xE0001000u
#define CORE_DWT_CYCCNT 0xE0001004u
#define CORE_DEMCR 0xE000EDFCu
#define COUNTER_ENABLE (1u << 0)
#define TRACE_ENABLE (1u << 24)

/* Only the virtual board has it: accesses since the last read that the accelerator's model refuses. */
static uint32_t refused(void)
{
    return *(volatile const uint32_t *)(uintptr_t)SILICON_REFUSED;
}

static void reg_write(uintptr_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

void silicon_platform_start(void)
{
    reg_write(CORE_DEMCR, TRACE_ENABLE);
    reg_write(CORE_DWT_CTRL, COUNTER_ENABLE);
}

const char *silicon_platform_board(void)
{
    return "virtual";
}

void silicon_platform_clock(bool on)
{
    (void)on;
}

uint32_t silicon_platform_cycles(void)
{
    return *(volatile const uint32_t *)(uintptr_t)CORE_DWT_CYCCNT;
}

/* Nothing on the virtual board needs to settle. */
void silicon_platform_wait(uint32_t microseconds)
{
    (void)microseconds;
}

uint32_t silicon_platform_faults(void)
{
    return refused();
}

const char *silicon_platform_fault_word(void)
{
    return "refused";
}

void silicon_platform_print(const char *text)
{
    semihosting_print(text);
}
