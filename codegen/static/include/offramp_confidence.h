/* How sure a stage is of its answer. Integers only; planner/reference/confidence.py computes the same bits.
 *
 * Logits have `fraction_bits` fraction bits (0..31): real value = logit * 2^-fraction_bits. The temperature multiplies
 * them and has 16 fraction bits (1..64 * 65536; 65536 leaves them as they are). 2 to 1024 classes. These ranges are
 * the caller's business.
 *
 * OFFRAMP_MARGIN           largest minus second largest logit, in the units of the logits, without temperature
 * OFFRAMP_MAX_PROBABILITY  largest softmax probability, 16 fraction bits, 0..65536; error below 2^-15
 * OFFRAMP_ENTROPY          entropy of the softmax in nats, 16 fraction bits; error below 2^-12
 */
#ifndef OFFRAMP_CONFIDENCE_H
#define OFFRAMP_CONFIDENCE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { OFFRAMP_MARGIN, OFFRAMP_MAX_PROBABILITY, OFFRAMP_ENTROPY } offramp_measure_t;

/* Also gives the index of the largest logit, the first one of equals. */
uint32_t offramp_confidence(offramp_measure_t measure, const int32_t *logits, uint32_t classes, uint32_t fraction_bits,
                            uint32_t temperature_q16, uint32_t *class_index);

/* Whether a stage may answer: at least the threshold, or at most it for entropy. */
bool offramp_confident(offramp_measure_t measure, uint32_t value, uint32_t threshold);

#endif
