#include <stdio.h>

#include "mxc.h"

#include "camera.h"
#include "led.h"
#include "tmr.h"

#include "application.h"
#include "mnist_image.h"

/* The camera's picture; the digit is in the middle of it, and two by two of its pixels are one of the input. */
#define PICTURE_SIDE 64u
#define INPUT_SIDE 28u
#define MARGIN ((PICTURE_SIDE - 2u * INPUT_SIDE) / 2u)
#define CAMERA_HZ 10000000u
#define BYTES_OF_PIXEL 4u /* red, green, blue, none */

/* A line takes the camera below a millisecond, the gap between two pictures some tens of them. */
#define LINE_CYCLES 20000000u

#define CLOCK_TIMER MXC_TMR1

enum { LAMP_ERROR, LAMP_EARLY, LAMP_LATE };

/* The darkest and the brightest value of a picture. */
typedef struct {
    uint32_t dark;
    uint32_t bright;
} levels_t;

uint32_t application_cycles(void)
{
    return MXC_TMR_GetCount(CLOCK_TIMER) * APPLICATION_CLOCK_STEP;
}

static void start_clock(void)
{
    mxc_tmr_cfg_t settings = {0};
    settings.pres = TMR_PRES_1;
    settings.mode = TMR_MODE_CONTINUOUS;
    settings.bitMode = TMR_BIT_MODE_32;
    settings.clock = MXC_TMR_APB_CLK;
    settings.cmp_cnt = UINT32_MAX;
    (void)MXC_TMR_Init(CLOCK_TIMER, &settings, false);
    MXC_TMR_Start(CLOCK_TIMER);
}

bool application_start(void)
{
    start_clock();
    bool there = (MXC_DMA_Init() == E_NO_ERROR) && (camera_init(CAMERA_HZ) == 0);
    int channel = there ? MXC_DMA_AcquireChannel() : -1;
    there = (channel >= 0) && (camera_setup((int)PICTURE_SIDE, (int)PICTURE_SIDE, PIXFORMAT_RGB888, FIFO_THREE_BYTE,
                                            STREAMING_DMA, channel) == 0);
    if (!there) {
        printf("the camera does not answer\n");
        LED_On(LAMP_ERROR);
    }
    return there;
}

/* The next line of the picture, or null if none comes. The DMA fills a second buffer in the meantime. */
static const uint8_t *next_line(void)
{
    uint32_t begun = application_cycles();
    const uint8_t *line = get_camera_stream_buffer();
    while ((line == NULL) && (application_cycles() - begun < LINE_CYCLES)) {
        line = get_camera_stream_buffer();
    }
    return line;
}

/* Adds the brightness of each pixel of the middle of a line, 0..1023, to the pixel of the input it is part of. */
static void add_line(const uint8_t *line, uint32_t sums[INPUT_SIDE])
{
    for (uint32_t i = 0u; i < 2u * INPUT_SIDE; i++) {
        const uint8_t *pixel = line + BYTES_OF_PIXEL * (MARGIN + i);
        sums[i / 2u] += (uint32_t)pixel[0] + 2u * pixel[1] + pixel[2];
    }
}

/* The network has learned bright digits on black; here they are dark on paper. The levels are those of the picture
 * before: this one is not all there yet. */
static void make_row(const uint32_t sums[INPUT_SIDE], levels_t levels, uint8_t row[INPUT_SIDE])
{
    uint32_t range = levels.bright > levels.dark ? levels.bright - levels.dark : 1u;
    for (uint32_t i = 0u; i < INPUT_SIDE; i++) {
        uint32_t below = levels.bright > sums[i] ? levels.bright - sums[i] : 0u;
        row[i] = (uint8_t)(below < range ? (255u * below) / range : 255u);
    }
}

static void widen(levels_t *levels, const uint32_t sums[INPUT_SIDE])
{
    for (uint32_t i = 0u; i < INPUT_SIDE; i++) {
        levels->dark = sums[i] < levels->dark ? sums[i] : levels->dark;
        levels->bright = sums[i] > levels->bright ? sums[i] : levels->bright;
    }
}

static offramp_status_t load_rows(levels_t before, levels_t *levels)
{
    uint32_t sums[INPUT_SIDE] = {0u};
    uint8_t pixels[INPUT_SIDE];
    offramp_status_t status = OFFRAMP_OK;
    for (uint32_t y = 0u; (y < PICTURE_SIDE) && (status == OFFRAMP_OK); y++) {
        const uint8_t *line = next_line();
        if (line == NULL) {
            status = OFFRAMP_NOT_READY;
        } else if ((y >= MARGIN) && (y < PICTURE_SIDE - MARGIN)) {
            add_line(line, sums);
            if ((y - MARGIN) % 2u == 1u) {
                widen(levels, sums);
                make_row(sums, before, pixels);
                status = offramp_load(MNIST_MODEL, OFFRAMP_HWC | OFFRAMP_UNSIGNED, pixels,
                                      INPUT_SIDE * ((y - MARGIN) / 2u), INPUT_SIDE);
                for (uint32_t i = 0u; i < INPUT_SIDE; i++) {
                    sums[i] = 0u;
                }
            }
        } else {
            /* Above or below the middle. */
        }
        release_camera_stream_buffer();
    }
    return status;
}

offramp_status_t application_load_picture(void)
{
    static levels_t before = {0u, 4u * 4u * 255u};
    levels_t levels = {UINT32_MAX, 0u};
    uint32_t overflows = get_camera_stream_statistic()->overflow_count;
    release_camera_stream_buffer(); /* of a picture that was given up */
    (void)camera_start_capture_image();
    offramp_status_t status = load_rows(before, &levels);
    if (get_camera_stream_statistic()->overflow_count != overflows) {
        status = OFFRAMP_NOT_READY; /* lines are missing */
    }
    if (status == OFFRAMP_OK) {
        before = levels;
    }
    return status;
}

void application_report(offramp_status_t status, const offramp_result_t *result)
{
    LED_Off(LAMP_ERROR);
    LED_Off(LAMP_EARLY);
    LED_Off(LAMP_LATE);
    if (status == OFFRAMP_OK) {
        printf("%u, stage %u, confidence %u, %u cycles\n", (unsigned)result->class_index, (unsigned)result->stage,
               (unsigned)result->confidence, (unsigned)result->cycles);
        LED_On(result->stage == 0u ? LAMP_EARLY : LAMP_LATE);
    } else {
        printf("%s\n", offramp_status_text(status));
        LED_On(LAMP_ERROR);
    }
}
