/* Clears the registers of quadrants by command, where the device has one. */
#include "cnn_regs.h"
#include "offramp_internal.h"

/* Looks at whether it is done; nobody has published how long it takes. */
#define CLEAR_LOOKS 100000u
#define LAYERS_AND_BIASES 0x1Cu

static bool clear_quadrant(uint32_t quadrant)
{
    uint32_t done = 0u;
    CNN_REG(CNN_TEST(quadrant)) = CNN_TEST_CLEAR_MASK | CNN_VALUE(CNN_TEST_SELECT, LAYERS_AND_BIASES);
    for (uint32_t i = 0u; (i < CLEAR_LOOKS) && (done == 0u); i++) {
        done = CNN_REG(CNN_TEST(quadrant)) & CNN_TEST_CLEAR_DONE_MASK;
    }
    CNN_REG(CNN_TEST(quadrant)) = 0u;
    return done != 0u;
}

bool offramp_clear_registers(uint32_t quadrants)
{
    bool cleared = true;
    for (uint32_t quadrant = 0u; quadrant < CNN_QUADRANTS; quadrant++) {
        if (((quadrants >> quadrant) & 1u) != 0u) {
            cleared = clear_quadrant(quadrant) && cleared;
        }
    }
    return cleared;
}
