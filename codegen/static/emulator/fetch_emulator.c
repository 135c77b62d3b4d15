/* Weights outside flash on the virtual board: the host has their file. */
#include "offramp_external.h"
#include "semihosting.h"

int32_t offramp_port_fetch(const offramp_image_t *image, uint32_t offset, void *to, uint32_t bytes)
{
    (void)image;
    return semihosting_read_at(semihosting_open("external", false), offset, to, bytes);
}
