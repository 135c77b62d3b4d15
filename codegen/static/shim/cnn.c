/* The vendor's names on top of offramp.h; cnn.h says what is different. */
#include "cnn.h"

#include "mxc.h"

#include "offramp_image.h"

#ifdef CNN_INFERENCE_TIMER
#include "tmr.h"
#endif

volatile uint32_t cnn_time = 1u;

static offramp_status_t last = OFFRAMP_NOT_READY;

void CNN_IRQHandler(void);

static int told(offramp_status_t status)
{
    last = status;
    return status == OFFRAMP_OK ? CNN_OK : CNN_FAIL;
}

static int ready(void)
{
    return told(offramp_self_test(0u));
}

#ifdef CNN_INFERENCE_TIMER
/* A timer that counts at half the core's clock, also while the core sleeps. */
#define CYCLES_OF_COUNT 2u

static uint32_t cycles(void)
{
    return MXC_TMR_GetCount(CNN_INFERENCE_TIMER) * CYCLES_OF_COUNT;
}

static void set_clock(offramp_options_t *options)
{
    mxc_tmr_cfg_t settings = {0};
    settings.pres = TMR_PRES_1;
    settings.mode = TMR_MODE_CONTINUOUS;
    settings.bitMode = TMR_BIT_MODE_32;
    settings.clock = MXC_TMR_APB_CLK;
    settings.cmp_cnt = UINT32_MAX;
    (void)MXC_TMR_Init(CNN_INFERENCE_TIMER, &settings, false);
    MXC_TMR_Start(CNN_INFERENCE_TIMER);
    options->clock = cycles;
    options->clock_step = CYCLES_OF_COUNT;
}
#else
/* The core sleeps while a stage runs, and its cycle counter may too; that there is a `wait` and no clock says so. */
static void sleep_until_interrupt(void *context)
{
    (void)context;
    __WFI();
}

static void set_clock(offramp_options_t *options)
{
    options->wait = sleep_until_interrupt;
}
#endif

static void end_with(offramp_status_t status, uint32_t passed)
{
    uint32_t microseconds = passed / (SystemCoreClock / 1000000u);
    last = status;
    cnn_time = microseconds == 0u ? 1u : microseconds;
}

/* Starts the next stage, or notes the end. */
static void look(void)
{
    offramp_result_t result;
    offramp_status_t status = offramp_poll(&result);
    if ((cnn_time == 0u) && (status != OFFRAMP_BUSY)) {
        end_with(status, result.cycles);
    }
}

void CNN_ISR(void)
{
    offramp_on_interrupt();
    look();
}

void CNN_IRQHandler(void)
{
    CNN_ISR();
}

int cnn_enable(uint32_t clock_source, uint32_t clock_divider)
{
    const offramp_header_t *image = CNN_IMAGE.header;
    offramp_options_t options = {0};
    offramp_status_t status = OFFRAMP_E_ARGUMENT;
    options.interrupt = true;
    set_clock(&options);
    if ((clock_source == (image->clock_source << MXC_F_GCR_PCLKDIV_CNNCLKSEL_POS)) &&
        (clock_divider == (image->clock_divider << MXC_F_GCR_PCLKDIV_CNNCLKDIV_POS))) {
        status = offramp_open(&CNN_IMAGE, &options);
    }
    return told(status);
}

int cnn_disable(void)
{
    return told(offramp_close());
}

int cnn_init(void)
{
    return ready();
}

int cnn_load_weights(void)
{
    return ready();
}

int cnn_verify_weights(void)
{
    return told(offramp_self_test(OFFRAMP_TEST_WEIGHTS));
}

int cnn_load_bias(void)
{
    return ready();
}

int cnn_configure(void)
{
    return ready();
}

int cnn_load_input(offramp_format_t format, const void *data)
{
    return told(offramp_load(CNN_MODEL, format, data, 0u, CNN_INPUT_PIXELS));
}

/* With interrupts off: a stage may end before the call that has started it, and the handler needs the runtime. */
int cnn_start(void)
{
    uint32_t masked = __get_PRIMASK();
    __disable_irq();
    cnn_time = 0u;
    int good = told(offramp_begin(CNN_MODEL, OFFRAMP_CHW, NULL));
    if (good != CNN_OK) {
        cnn_time = 1u;
    }
    __set_PRIMASK(masked);
    return good;
}

int cnn_stop(void)
{
    uint32_t masked = __get_PRIMASK();
    __disable_irq();
    int good = told(offramp_cancel());
    cnn_time = 1u;
    __set_PRIMASK(masked);
    return good;
}

int cnn_poll(void)
{
    uint32_t masked = __get_PRIMASK();
    __disable_irq();
    if (cnn_time == 0u) {
        look();
    }
    __set_PRIMASK(masked);
    return cnn_time != 0u ? CNN_OK : CNN_FAIL;
}

int cnn_unload(uint32_t *out_buf)
{
    offramp_status_t status = last;
    if (status == OFFRAMP_OK) {
#if CNN_OUTPUT_BITS == 8
        status = offramp_output(out_buf, CNN_NUM_OUTPUTS);
#else
        status = offramp_output_words((int32_t *)out_buf, CNN_NUM_OUTPUTS);
#endif
    }
    return told(status);
}

offramp_status_t cnn_status(void)
{
    return last;
}
