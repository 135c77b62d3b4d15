/* FreeRTOS 10 for this example; what is not named here has FreeRTOS's own default. */
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#include <stdint.h>

extern uint32_t SystemCoreClock;

#define configCPU_CLOCK_HZ SystemCoreClock
#define configTICK_RATE_HZ 1000u
#define configUSE_16_BIT_TICKS 0
#define configUSE_PREEMPTION 1
#define configUSE_IDLE_HOOK 1
#define configUSE_TICK_HOOK 0
#define configMAX_PRIORITIES 4
#define configMINIMAL_STACK_SIZE 128u
#define configTOTAL_HEAP_SIZE (16u * 1024u)
#define configMAX_TASK_NAME_LEN 12

/* The core has three bits of priority. Handlers of priorities 2 (more urgent) to 7 may call FreeRTOS. */
#define configKERNEL_INTERRUPT_PRIORITY (7u << 5)
#define configMAX_SYSCALL_INTERRUPT_PRIORITY (2u << 5)

#define INCLUDE_vTaskDelay 1

/* Names of the SDK's vector table. */
#define vPortSVCHandler SVC_Handler
#define xPortPendSVHandler PendSV_Handler
#define xPortSysTickHandler SysTick_Handler

#endif
