/* The platform without an SDK, on the virtual board. */
#include "semihosting.h"
#include "silicon_platform.h"
#include "silicon_script.h"

/* Only the virtual board has it: accesses since the last read that the accelerator's model refuses. */
static uint32_t refused(void)
{
    return *(volatile const uint32_t *)(uintptr_t)SILICON_REFUSED;
}

void silicon_platform_start(void)
{
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
    return 0;
}

/* Nothing on the virtual board takes time. */
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
