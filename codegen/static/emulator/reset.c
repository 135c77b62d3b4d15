#include "reset.h"

#include "semihosting.h"

extern uint32_t image_data_load[], image_data_start[], image_data_end[], image_bss_start[], image_bss_end[];

int main(void);

void unexpected_exception(void)
{
    semihosting_exit(SEMIHOSTING_FAULT, 0);
}

void reset_handler(void)
{
    for (uint32_t *from = image_data_load, *to = image_data_start; to < image_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = image_bss_start; to < image_bss_end; to++) {
        *to = 0;
    }
    semihosting_exit(SEMIHOSTING_FINISHED, main());
}
