/* Lamps and camera. The camera films `pictures`, which a test writes, and then the program ends. */
#include <stdio.h>

#include "camera.h"
#include "led.h"
#include "mxc.h"
#include "pictures.h"
#include "semihosting.h"
#include "tmr.h"

#define SILENCE 50000u /* of the timer: a millisecond a look */

uint32_t timer_passed;

static unsigned int picture, line;
static bool full;
static stream_stat_t statistic;
static uint8_t buffer[4 * PICTURE_COLUMNS];

void LED_On(unsigned int number)
{
    printf("lamp %u on\n", number);
}

void LED_Off(unsigned int number)
{
    (void)number;
}

int MXC_DMA_Init(void)
{
    return E_NO_ERROR;
}

int MXC_DMA_AcquireChannel(void)
{
    return 0;
}

int camera_init(uint32_t hz)
{
    return hz == 0u;
}

int camera_setup(int columns, int rows, pixformat_t format, fifomode_t fifo, dmamode_t dma, int channel)
{
    return (columns != PICTURE_COLUMNS) || (rows != PICTURE_ROWS) || (format != PIXFORMAT_RGB888) ||
           (fifo != FIFO_THREE_BYTE) || (dma != STREAMING_DMA) || (channel != 0);
}

int camera_start_capture_image(void)
{
    if (picture == picture_count) {
        semihosting_exit(SEMIHOSTING_FINISHED, 0);
    }
    picture++;
    line = 0u;
    full = false;
    statistic.overflow_count += pictures[picture - 1u].overflows;
    return 0;
}

/* A line each time that it is asked for after the one before has been released; grey, so all colours are alike. */
uint8_t *get_camera_stream_buffer(void)
{
    const picture_t *shown = &pictures[picture - 1u];
    if (!full && (line < shown->lines)) {
        for (unsigned int i = 0; i < sizeof buffer; i++) {
            buffer[i] = i % 4u == 3u ? 0u : shown->grey[PICTURE_COLUMNS * line + i / 4u];
        }
        line++;
        full = true;
    }
    timer_passed += full ? 0u : SILENCE;
    return full ? buffer : NULL;
}

void release_camera_stream_buffer(void)
{
    full = false;
}

stream_stat_t *get_camera_stream_statistic(void)
{
    return &statistic;
}
