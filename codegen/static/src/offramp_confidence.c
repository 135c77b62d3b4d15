#include "offramp_confidence.h"

#define LOG2E_Q31 3098164009u
#define LN2_Q31 1488522236u
#define LN2_Q32 2977044472u
#define EXPONENT_BITS 24u
#define WEIGHT_BITS 28u
#define CUT_OFF 28u /* 2^-28 is the unit of the weights */
#define ENTROPY_BITS 20u

/* 2^(-i/32), 31 fraction bits */
static const uint32_t powers_q31[32] = {
    2147483648u, 2101467502u, 2056437387u, 2012372174u, 1969251188u, 1927054196u, 1885761398u, 1845353420u,
    1805811301u, 1767116489u, 1729250827u, 1692196547u, 1655936265u, 1620452965u, 1585730000u, 1551751076u,
    1518500250u, 1485961921u, 1454120821u, 1422962010u, 1392470869u, 1362633090u, 1333434672u, 1304861917u,
    1276901417u, 1249540052u, 1222764986u, 1196563654u, 1170923762u, 1145833280u, 1121280436u, 1097253708u,
};

/* How many binary digits a number has; 0 for 0. */
static uint32_t bits_of(uint32_t number)
{
    return number == 0u ? 0u : 32u - (uint32_t)__builtin_clz(number);
}

/* Factor from distances between logits to exponents of two: mantissa * 2^-shift, with EXPONENT_BITS fraction bits. */
typedef struct {
    uint32_t mantissa;
    uint32_t shift;
} scale_t;

static scale_t scale_of(uint32_t fraction_bits, uint32_t temperature_q16)
{
    uint64_t product = (uint64_t)temperature_q16 * LOG2E_Q31;
    uint32_t excess = bits_of((uint32_t)(product >> 32));
    scale_t scale;
    scale.mantissa = (uint32_t)(product >> excess);
    scale.shift = 16u + 31u + fraction_bits - EXPONENT_BITS - excess;
    return scale;
}

/* 2^-exponent with WEIGHT_BITS fraction bits, for exponents below CUT_OFF. */
static uint32_t power(uint32_t exponent)
{
    uint32_t whole = exponent >> EXPONENT_BITS;
    uint32_t rest = (exponent & 0x7FFFFu) << 7;
    uint32_t u = (uint32_t)(((uint64_t)rest * LN2_Q31) >> 31);
    uint32_t polynomial = (1u << 31) - u + (uint32_t)(((uint64_t)u * u) >> 32);
    uint64_t product = (uint64_t)powers_q31[(exponent >> 19) & 31u] * polynomial;
    return (uint32_t)(product >> (62u - WEIGHT_BITS + whole));
}

/* Quotient, rounded down; at most 32 bits, of a denominator of 28 to 48 bits. The core divides 32 bits by 32: each round
 * divides the upper 32 bits of what is left by the upper 16 of the denominator, rounded up, so never takes too much. */
static uint32_t divide(uint64_t numerator, uint64_t denominator)
{
    uint32_t below = 32u + bits_of((uint32_t)(denominator >> 32)) - 16u;
    uint32_t quotient = 0u;
    if ((denominator >> 32) == 0u) {
        below = bits_of((uint32_t)denominator) - 16u;
    }
    while (numerator >= denominator) {
        uint32_t lost = bits_of((uint32_t)(numerator >> 32));
        uint32_t digits = (uint32_t)(numerator >> lost) / ((uint32_t)(denominator >> below) + 1u);
        digits = lost >= below ? digits << (lost - below) : digits >> (below - lost);
        digits = digits == 0u ? 1u : digits;
        quotient += digits;
        numerator -= digits * denominator;
    }
    return quotient;
}

/* log2 of a sum of weights, at least 1, with ENTROPY_BITS fraction bits: bit by bit, by squaring. */
static uint32_t log2_of(uint64_t total)
{
    uint32_t result = 0u;
    uint64_t mantissa;
    uint32_t step;
    while ((total >> (WEIGHT_BITS + 1u + result)) != 0u) {
        result++;
    }
    mantissa = (total << (31u - WEIGHT_BITS)) >> result;
    for (step = 0u; step < ENTROPY_BITS; step++) {
        uint32_t carry;
        mantissa = (mantissa * mantissa) >> 31;
        carry = (uint32_t)(mantissa >> 32);
        mantissa >>= carry;
        result = (result << 1) | carry;
    }
    return result;
}

/* The largest logit, the first one of equals; and the largest of the others. */
typedef struct {
    uint32_t index;
    uint32_t largest;
    uint32_t second;
} leaders_t;

static leaders_t leaders_of(const int32_t *logits, uint32_t classes)
{
    int32_t largest = logits[0];
    int32_t second = INT32_MIN;
    uint32_t index = 0u;
    uint32_t i;
    for (i = 1u; i < classes; i++) {
        int32_t logit = logits[i];
        if (logit > largest) {
            second = largest;
            largest = logit;
            index = i;
        } else if (logit > second) {
            second = logit;
        }
    }
    return (leaders_t){index, (uint32_t)largest, (uint32_t)second};
}

static uint32_t softmax(offramp_measure_t measure, const int32_t *logits, uint32_t classes, scale_t scale,
                        uint32_t largest)
{
    uint64_t total = 0u;
    uint64_t moment = 0u; /* sum of weight * exponent */
    uint32_t bits;
    uint32_t i;
    for (i = 0u; i < classes; i++) {
        uint64_t exponent = ((uint64_t)(largest - (uint32_t)logits[i]) * scale.mantissa) >> scale.shift;
        if (exponent < ((uint64_t)CUT_OFF << EXPONENT_BITS)) {
            uint32_t weight = power((uint32_t)exponent);
            total += weight;
            if (measure == OFFRAMP_ENTROPY) {
                moment += ((uint64_t)weight * (uint32_t)exponent) >> EXPONENT_BITS;
            }
        }
    }
    if (measure == OFFRAMP_MAX_PROBABILITY) {
        return (divide((uint64_t)1u << (WEIGHT_BITS + 17u), total) + 1u) >> 1;
    }
    bits = log2_of(total) + divide(moment << ENTROPY_BITS, total);
    return (uint32_t)(((uint64_t)bits * LN2_Q32 + ((uint64_t)1u << (15u + ENTROPY_BITS))) >> (16u + ENTROPY_BITS));
}

uint32_t offramp_confidence(offramp_measure_t measure, const int32_t *logits, uint32_t classes, uint32_t fraction_bits,
                            uint32_t temperature_q16, uint32_t *class_index)
{
    leaders_t leaders = leaders_of(logits, classes);
    *class_index = leaders.index;
    if (measure == OFFRAMP_MARGIN) {
        return leaders.largest - leaders.second;
    }
    return softmax(measure, logits, classes, scale_of(fraction_bits, temperature_q16), leaders.largest);
}

bool offramp_confident(offramp_measure_t measure, uint32_t value, uint32_t threshold)
{
    return measure == OFFRAMP_ENTROPY ? value <= threshold : value >= threshold;
}
