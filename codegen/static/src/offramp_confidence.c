#include "offramp_confidence.h"

#define LOG2E_Q31 3098164009u
#define LN2_Q31 1488522236u
#define LN2_Q32 2977044472u
#define EXPONENT_BITS 24u
#define WEIGHT_BITS 28u
#define CUT_OFF 0x1C000000u /* exponent 28: 2^-28 is the unit of the weights */
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
    return (number == 0u) ? 0u : (32u - (uint32_t)__builtin_clz(number));
}

/* From distances between logits to exponents of two with EXPONENT_BITS fraction bits: distance * 2^left * mantissa *
 * 2^-(32 + right), of which `left` or `right` is 0. */
typedef struct {
    uint32_t mantissa;
    uint32_t left;
    uint32_t right;
} scale_t;

static scale_t scale_of(uint32_t fraction_bits, uint32_t temperature_q16)
{
    uint64_t product = (uint64_t)temperature_q16 * LOG2E_Q31;
    uint32_t excess = bits_of((uint32_t)(product >> 32));
    uint32_t shift = 16u + 31u + fraction_bits - EXPONENT_BITS - excess;
    return (scale_t){(uint32_t)(product >> excess), (shift < 32u) ? (32u - shift) : 0u,
                     (shift < 32u) ? 0u : (shift - 32u)};
}

static uint32_t upper_half(uint32_t a, uint32_t b)
{
    return (uint32_t)(((uint64_t)a * b) >> 32);
}

/* The exponent, or CUT_OFF if it is that large: a distance that `left` would shift out has one of more than 2^31. */
static uint32_t exponent_of(scale_t scale, uint32_t distance)
{
    uint32_t exponent = upper_half(distance << scale.left, scale.mantissa) >> scale.right;
    bool small = (distance <= (UINT32_MAX >> scale.left)) && (exponent < CUT_OFF);
    return small ? exponent : CUT_OFF;
}

/* 2^-exponent with WEIGHT_BITS fraction bits, for exponents below CUT_OFF. */
static uint32_t power(uint32_t exponent)
{
    uint32_t u = upper_half((exponent & 0x7FFFFu) << 8, LN2_Q31);
    uint32_t polynomial = 0x80000000u - u + upper_half(u, u);
    uint32_t product = upper_half(powers_q31[(exponent >> 19) & 31u], polynomial);
    return product >> (30u - WEIGHT_BITS + (exponent >> EXPONENT_BITS));
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
        digits = (lost >= below) ? (digits << (lost - below)) : (digits >> (below - lost));
        digits = (digits == 0u) ? 1u : digits;
        quotient += digits;
        numerator -= digits * denominator;
    }
    return quotient;
}

/* log2 of a sum of weights, at least 1, with ENTROPY_BITS fraction bits: bit by bit, by squaring. */
static uint32_t log2_of(uint64_t total)
{
    uint32_t result = bits_of((uint32_t)(total >> WEIGHT_BITS)) - 1u;
    uint32_t mantissa = (uint32_t)((total << (31u - WEIGHT_BITS)) >> result); /* 1..2, 31 fraction bits */
    uint32_t step;
    for (step = 0u; step < ENTROPY_BITS; step++) {
        uint64_t square = (uint64_t)mantissa * mantissa; /* 1..4, 62 fraction bits */
        uint32_t carry = (uint32_t)(square >> 63);
        mantissa = (uint32_t)(square >> (31u + carry));
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
        } else {
            /* neither */
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
        uint32_t exponent = exponent_of(scale, largest - (uint32_t)logits[i]);
        if (exponent < CUT_OFF) {
            uint32_t weight = power(exponent);
            total += weight;
            moment += ((uint64_t)weight * exponent) >> EXPONENT_BITS;
        }
    }
    if (measure == OFFRAMP_MAX_PROBABILITY) {
        return (divide((uint64_t)1u << (WEIGHT_BITS + 17u), total) + 1u) >> 1;
    }
    bits = log2_of(total) + divide(moment << ENTROPY_BITS, total);
    return (uint32_t)((((uint64_t)bits * LN2_Q32) + ((uint64_t)1u << (15u + ENTROPY_BITS))) >> (16u + ENTROPY_BITS));
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
    return (measure == OFFRAMP_ENTROPY) ? (value <= threshold) : (value >= threshold);
}
