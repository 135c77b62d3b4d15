/* Without an RTOS: one loop. While a stage runs the core sleeps until the accelerator's interrupt. */
#include <stdio.h>

#include "mxc.h"

#include "lp.h"

#include "application.h"
#include "mnist_image.h"

#define TICKS_A_SECOND 100u

static volatile bool woken;

/* The name that the vector table of the SDK has for it. */
void CNN_IRQHandler(void)
{
    offramp_on_interrupt();
}

static void notify(void *context)
{
    (void)context;
    woken = true;
}

/* Sleeps until the next interrupt. With interrupts masked a pending one still ends the sleep, so none is missed between
 * the look and the sleep. SysTick, which this program owns, bounds it should the accelerator's never come. */
static void sleep_until_interrupt(void)
{
    uint32_t masked = __get_PRIMASK();
    __disable_irq();
    if (!woken) {
        MXC_LP_EnterSleepMode();
    }
    woken = false;
    __set_PRIMASK(masked);
}

/* offramp_infer with a `wait` that sleeps does the same; here the loop could do other things between two looks. */
static offramp_status_t infer(offramp_result_t *result)
{
    offramp_status_t status = offramp_begin(MNIST_MODEL, OFFRAMP_CHW, NULL);
    if (status == OFFRAMP_OK) {
        status = offramp_poll(result);
        while (status == OFFRAMP_BUSY) {
            sleep_until_interrupt();
            status = offramp_poll(result);
        }
    }
    return status;
}

int main(void)
{
    offramp_options_t options = {0};
    options.clock = application_cycles;
    options.clock_step = APPLICATION_CLOCK_STEP;
    options.notify = notify;
    options.interrupt = true;

    bool running = application_start();
    offramp_status_t opened = offramp_open(&mnist_image, &options);
    if (opened != OFFRAMP_OK) {
        printf("%s\n", offramp_status_text(opened));
        running = false;
    }
    running = running && (SysTick_Config(SystemCoreClock / TICKS_A_SECOND) == 0u);
    while (running) {
        offramp_result_t result = {0};
        offramp_status_t status = application_load_picture();
        if (status == OFFRAMP_OK) {
            status = infer(&result);
        }
        application_report(status, &result);
    }
    return 1;
}
