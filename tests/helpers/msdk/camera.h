#ifndef CAMERA_H
#define CAMERA_H

#include <stdint.h>

typedef enum { PIXFORMAT_RGB888 = 4 } pixformat_t;
typedef enum { FIFO_THREE_BYTE } fifomode_t;
typedef enum { STREAMING_DMA = 2 } dmamode_t;

typedef struct {
    uint32_t dma_transfer_count;
    uint32_t overflow_count;
} stream_stat_t;

int camera_init(uint32_t hz);
int camera_setup(int columns, int rows, pixformat_t format, fifomode_t fifo, dmamode_t dma, int channel);
int camera_start_capture_image(void);
uint8_t *get_camera_stream_buffer(void);
void release_camera_stream_buffer(void);
stream_stat_t *get_camera_stream_statistic(void);

#endif
