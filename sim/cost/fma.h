/* fma.h - two loops that a processor cannot do faster: multiply-adds from registers, and reading
 * memory. */
#ifndef CELSLM_COST_FMA_H
#define CELSLM_COST_FMA_H

#include <stddef.h>

/* f32 FLOPs of one step of celslm_fma_run; 0: there is no such loop for this processor. */
double celslm_fma_flops(void);
void celslm_fma_run(long steps);
/* `bytes` a multiple of 4096, `block` aligned to 64. */
void celslm_fma_read(const void *block, size_t bytes);

#endif
