/* The port without an SDK, on the emulator. */
#include "board_device.h"
#include "offramp_port.h"
#include "semihosting.h"

/* Global control registers (MSDK gcr_regs.h): PLL, peripheral clock divider and peripheral clocks that are off. */
#define PLL_CONTROL 0x40000010u
#define PLL_ON 1u
#define PLL_READY 2u
#define CLOCK_LOOKS 100000u
#define PERIPHERAL_DIVIDER 0x40000018u
#define CNN_DIVIDER_AT 14u
#define CNN_SOURCE_AT 17u
#define CNN_CLOCK_FIELDS (0xFu << CNN_DIVIDER_AT)
#define PERIPHERALS_OFF 0x40000024u
#define CNN_OFF (1u << 25)

/* The core's interrupt controller and cycle counter (Arm DDI 0403, B3.4 and C1.8). */
#define NVIC_ENABLE (0xE000E100u + 4u * (BOARD_CNN_INTERRUPT / 32u))
#define NVIC_DISABLE (0xE000E180u + 4u * (BOARD_CNN_INTERRUPT / 32u))
#define NVIC_CLEAR_PENDING (0xE000E280u + 4u * (BOARD_CNN_INTERRUPT / 32u))
#define NVIC_CNN (1u << (BOARD_CNN_INTERRUPT % 32u))
#define DEBUG_MONITOR 0xE000EDFCu
#define TRACE_ON (1u << 24)
#define TRACE_CONTROL 0xE0001000u
#define COUNTER_ON 1u
#define CYCLE_COUNTER 0xE0001004u

/* Of a wait: a round has at least so many. */
#define INSTRUCTIONS_OF_A_ROUND 3u
#define SOME_ROUNDS 20000u

static void set_bits(uint32_t address, uint32_t bits)
{
    uint32_t value = offramp_reg_read(address);
    if ((value & bits) != bits) {
        offramp_reg_write(address, value | bits);
    }
}

static void set_clock(uint32_t source, uint32_t divider)
{
    offramp_reg_write(PERIPHERAL_DIVIDER, (offramp_reg_read(PERIPHERAL_DIVIDER) & ~CNN_CLOCK_FIELDS) |
                                              (divider << CNN_DIVIDER_AT) | (source << CNN_SOURCE_AT));
}

#if OFFRAMP_PLL
static uint32_t clock_source;
static uint32_t clock_divider; /* as offramp_header_t has it */

static void start_source(uint32_t source)
{
    if (source == OFFRAMP_PLL_SOURCE) {
        set_bits(PLL_CONTROL, PLL_ON);
    }
}

/* An instruction is a cycle on the emulator, which counts them in pieces: more than are needed. */
static void wait_for_power(void)
{
    uint32_t rounds = BOARD_CORE_HZ / 1000000u * OFFRAMP_POWER_WAIT_US / INSTRUCTIONS_OF_A_ROUND + SOME_ROUNDS;
    for (uint32_t i = 0u; i < rounds; i++) {
        __asm__ volatile("nop");
    }
}

static void select_clock(uint32_t source, uint32_t divider)
{
    clock_source = source;
    clock_divider = divider;
    if (source == OFFRAMP_PLL_SOURCE) {
        for (uint32_t i = 0u; (i < CLOCK_LOOKS) && ((offramp_reg_read(PLL_CONTROL) & PLL_READY) == 0u); i++) {
        }
    }
    set_clock(source, offramp_divider(divider, false));
}

void offramp_port_run(bool runs)
{
    set_clock(clock_source, offramp_divider(clock_divider, runs));
}

static void stop_source(void)
{
    offramp_reg_write(PLL_CONTROL, offramp_reg_read(PLL_CONTROL) & ~PLL_ON);
}
#else
static void start_source(uint32_t source)
{
    (void)source;
}

static void wait_for_power(void)
{
}

static void select_clock(uint32_t source, uint32_t divider)
{
    set_clock(source, divider);
}

static void stop_source(void)
{
}
#endif

void offramp_port_power_on(uint32_t quadrants, uint32_t all, uint32_t source, uint32_t divider)
{
    start_source(source);
    offramp_reg_write(BOARD_GCFR_RESET, all);
    offramp_reg_write(BOARD_GCFR_MASK, quadrants);
    offramp_reg_write(BOARD_GCFR_POWER, quadrants);
    wait_for_power();
    offramp_reg_write(BOARD_GCFR_ISOLATE, all & ~quadrants);
    offramp_reg_write(BOARD_GCFR_RESET, 0u);
    select_clock(source, divider);
    offramp_port_clock(true);
}

void offramp_port_power_off(uint32_t all, bool keep)
{
    offramp_port_clock(false);
    offramp_reg_write(BOARD_GCFR_RESET, all);
    offramp_reg_write(BOARD_GCFR_ISOLATE, all);
    offramp_reg_write(BOARD_GCFR_POWER, 0u);
    if (!keep) {
        offramp_reg_write(BOARD_GCFR_MASK, 0u);
    }
    offramp_reg_write(BOARD_GCFR_RESET, 0u);
    stop_source();
}

void offramp_port_clock(bool on)
{
    uint32_t off = offramp_reg_read(PERIPHERALS_OFF);
    offramp_reg_write(PERIPHERALS_OFF, on ? off & ~CNN_OFF : off | CNN_OFF);
}

void offramp_port_interrupt(bool on)
{
    offramp_reg_write(NVIC_DISABLE, NVIC_CNN);
    if (on) {
        offramp_reg_write(NVIC_CLEAR_PENDING, NVIC_CNN);
        offramp_reg_write(NVIC_ENABLE, NVIC_CNN);
    }
}

uint32_t offramp_port_cycles(void)
{
    set_bits(DEBUG_MONITOR, TRACE_ON);
    set_bits(TRACE_CONTROL, COUNTER_ON);
    return offramp_reg_read(CYCLE_COUNTER);
}

/* The emulator's clocks run. */
void offramp_port_start(uint32_t core_hz)
{
    (void)core_hz;
}

void offramp_port_print(const char *text)
{
    semihosting_print(text);
}
