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

static void start_time(void)
{
    cnn_time = 0u;
#ifdef CNN_INFERENCE_TIMER
    MXC_TMR_SW_Start(CNN_INFERENCE_TIMER);
#endif
}

static void stop_time(void)
{
    uint32_t passed = 0u;
#ifdef CNN_INFERENCE_TIMER
    passed = (uint32_t)MXC_TMR_SW_Stop(CNN_INFERENCE_TIMER);
#endif
    cnn_time = passed == 0u ? 1u : passed;
}

/* Starts the next stage, or notes the end. */
static void look(void)
{
    offramp_result_t result;
    offramp_status_t status = offramp_poll(&result);
    if ((cnn_time == 0u) && (status != OFFRAMP_BUSY)) {
        last = status;
        stop_time();
    }
}

/* The core sleeps while a stage runs, and its cycle counter may too: that it has none keeps the runtime from using it. */
static void sleep_until_interrupt(void *context)
{
    (void)context;
    __WFI();
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
    options.wait = sleep_until_interrupt;
    options.interrupt = true;
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
    start_time();
    int good = told(offramp_begin(CNN_MODEL, OFFRAMP_CHW, NULL));
    if (good != CNN_OK) {
        stop_time();
    }
    __set_PRIMASK(masked);
    return good;
}

int cnn_stop(void)
{
    uint32_t masked = __get_PRIMASK();
    __disable_irq();
    int good = told(offramp_cancel());
    stop_time();
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
