/* Questions to the accelerator of a chip: a list of steps, and the log that executing them prints. */
#ifndef SILICON_H
#define SILICON_H

#include <stdint.h>

typedef enum {
    SILICON_ASK = 0,    /* value: question; prints that it begins */
    SILICON_SAY = 1,    /* value: measurement; prints what was noted, and what went wrong */
    SILICON_WRITE = 2,  /* address, value */
    SILICON_PAIRS = 3,  /* data: address, value, address, value ... */
    SILICON_COPY = 4,   /* address, data: words to address, + 4, ... */
    SILICON_FILL = 5,   /* address, value, count: the same word to address, + 4, ... */
    SILICON_COLUMN = 6, /* address: a byte write, which sets the start column of express loading */
    SILICON_PUSH = 7,   /* address, value: bit of FIFO_STAT that says "full", data: words to a port of the FIFO */
    SILICON_GO = 8,     /* address, value: a write from which time counts */
    SILICON_AWAIT = 9,  /* address, value: mask, count: longest time in cycles of the accelerator; time ends */
    SILICON_TIME = 10,  /* notes the time from GO to AWAIT, in cycles of the accelerator */
    SILICON_READ = 11,  /* address, value: mask, 0 for all bits; notes a word */
    SILICON_SUM = 12,   /* address, value: step in bytes, count: words into the checksum */
    SILICON_SUMMED = 13, /* notes the checksum and begins a new one */
    SILICON_WALK = 14,  /* address, value: bits to try, count: bits that stay set; notes those that read back */
    SILICON_CLOCK = 15, /* value: the accelerator's clock on (1) or off (0) */
    SILICON_WAIT = 16   /* value: microseconds */
} silicon_code_t;

/* Steps with data: `value` or, of a PUSH, `first` is the first word of silicon_data, `count` how many. */
typedef struct {
    uint32_t code;
    uint32_t address;
    uint32_t value;
    uint32_t count;
    uint32_t first;
} silicon_step_t;

/* Executes all steps and prints the log. Every wait in it is bounded. */
void silicon_ask(void);

#endif
