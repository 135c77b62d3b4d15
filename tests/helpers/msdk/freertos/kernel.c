/* A scheduler of one task and one semaphore: the idle hook runs while the task waits. */
#include "mxc.h"

#include "FreeRTOS.h"
#include "semphr.h"
#include "task.h"

void xPortSysTickHandler(void);

struct semaphore {
    volatile bool given;
};

static struct semaphore only;
static TaskFunction_t task;
static void *task_argument;
static volatile TickType_t now;

void xPortSysTickHandler(void)
{
    now++;
}

BaseType_t xTaskCreate(TaskFunction_t function, const char *name, uint16_t stack_words, void *argument,
                       UBaseType_t priority, TaskHandle_t *created)
{
    (void)name;
    (void)stack_words;
    (void)priority;
    (void)created;
    task = function;
    task_argument = argument;
    return pdPASS;
}

void vTaskStartScheduler(void)
{
    (void)SysTick_Config(configCPU_CLOCK_HZ / configTICK_RATE_HZ);
    task(task_argument);
}

void vTaskDelay(TickType_t ticks)
{
    for (TickType_t begun = now; now - begun < ticks;) {
        vApplicationIdleHook();
    }
}

SemaphoreHandle_t xSemaphoreCreateBinary(void)
{
    return &only;
}

BaseType_t xSemaphoreTake(SemaphoreHandle_t semaphore, TickType_t ticks)
{
    for (TickType_t begun = now; !semaphore->given && (now - begun < ticks);) {
        vApplicationIdleHook();
    }
    BaseType_t taken = semaphore->given ? pdTRUE : pdFALSE;
    semaphore->given = false;
    return taken;
}

BaseType_t xSemaphoreGiveFromISR(SemaphoreHandle_t semaphore, BaseType_t *switches)
{
    semaphore->given = true;
    *switches = pdTRUE;
    return pdTRUE;
}
