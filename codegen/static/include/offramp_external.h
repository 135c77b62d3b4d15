/* Weights outside flash (`reload: external`): what the runtime needs from the application to read them. Only images that
 * have such weights need this, and src/offramp_external.c. */
#ifndef OFFRAMP_EXTERNAL_H
#define OFFRAMP_EXTERNAL_H

#include "offramp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OFFRAMP_FETCH_BYTES 512u

/* To be written by the application; README.txt has examples. Reads `bytes` bytes, at most OFFRAMP_FETCH_BYTES, of the
 * image's <name>_weights.bin, from byte `offset` on, a multiple of OFFRAMP_FETCH_BYTES, to a word-aligned place. Returns how
 * many it has read; if these are not `bytes`, the call that needs them returns OFFRAMP_E_EXTERNAL: offramp_open,
 * offramp_self_test of the image and, before a stage that has such weights, offramp_poll or offramp_infer.
 * It has to return within a time that the application chooses. Calls of the runtime return OFFRAMP_BUSY meanwhile. */
int32_t offramp_port_fetch(const offramp_image_t *image, uint32_t offset, void *to, uint32_t bytes);

#ifdef __cplusplus
}
#endif

#endif
