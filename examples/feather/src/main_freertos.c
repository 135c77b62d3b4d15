/* With FreeRTOS: a task takes pictures and has them classified. While a stage runs it waits for a semaphore that the
 * accelerator's interrupt gives, so other tasks run; without any, the idle task sleeps. */
#include <stdio.h>

#include "mxc.h"

#include "FreeRTOS.h"
#include "semphr.h"
#include "task.h"

#include "application.h"
#include "mnist_image.h"

#define STACK_WORDS 512u
#define PRIORITY (tskIDLE_PRIORITY + 1u)
#define WAIT_MS 10u

/* The lowest one: handlers that call FreeRTOS may not have one above configMAX_SYSCALL_INTERRUPT_PRIORITY. */
#define INTERRUPT_PRIORITY ((1u << __NVIC_PRIO_BITS) - 1u)

void CNN_IRQHandler(void)
{
    offramp_on_interrupt();
}

static void notify(void *context)
{
    BaseType_t switches = pdFALSE;
    (void)xSemaphoreGiveFromISR((SemaphoreHandle_t)context, &switches);
    portYIELD_FROM_ISR(switches);
}

/* With a limit: an interrupt that never comes costs time and nothing else. */
static void wait(void *context)
{
    (void)xSemaphoreTake((SemaphoreHandle_t)context, pdMS_TO_TICKS(WAIT_MS));
}

static void classify(void *argument)
{
    (void)argument;
    for (;;) {
        offramp_result_t result = {0};
        offramp_status_t status = application_load_picture();
        if (status == OFFRAMP_OK) {
            status = offramp_infer(MNIST_MODEL, OFFRAMP_CHW, NULL, &result);
        }
        application_report(status, &result);
        vTaskDelay(1u);
    }
}

/* FreeRTOS calls it when no task is ready. */
void vApplicationIdleHook(void)
{
    __WFI();
}

static bool open_image(SemaphoreHandle_t done)
{
    offramp_options_t options = {0};
    options.clock = application_cycles;
    options.clock_step = APPLICATION_CLOCK_STEP;
    options.wait = wait;
    options.notify = notify;
    options.context = done;
    options.interrupt = true;
    NVIC_SetPriority(CNN_IRQn, INTERRUPT_PRIORITY);
    offramp_status_t status = offramp_open(&mnist_image, &options);
    if (status != OFFRAMP_OK) {
        printf("%s\n", offramp_status_text(status));
    }
    return status == OFFRAMP_OK;
}

int main(void)
{
    SemaphoreHandle_t done = xSemaphoreCreateBinary();
    /* The camera's driver uses SysTick while it starts: before the scheduler does. */
    if ((done != NULL) && application_start() && open_image(done) &&
        (xTaskCreate(classify, "classify", STACK_WORDS, NULL, PRIORITY, NULL) == pdPASS)) {
        vTaskStartScheduler();
    }
    return 1;
}
