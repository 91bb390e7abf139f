/* coding.h - times the KV codecs (kernels/codec.h) on one core, for the profile's <codec> elements.
 *
 * Each codec works on keys and values of two pieces, a short and a long one, that come from memory;
 * the two give a rate and an overhead. Bytes are those of the KV at 16 bits: what the codec saves
 * does not enter. Low-rank projections are products, which the gemm curve prices. */
#ifndef CELSLM_COST_CODING_H
#define CELSLM_COST_CODING_H

#include "cost/measure.h"
#include "scenario/profile.h"

enum { CELSLM_CODINGS = 3 };

/* Codecs under measurement, used like celslm_measurement. */
typedef struct celslm_coding_times celslm_coding_times;
celslm_coding_times *celslm_coding_times_new(celslm_operands *operands, celslm_error *err);
void celslm_coding_times_round(celslm_coding_times *t);
/* Fills names, rates and overheads; the sources are the caller's. */
void celslm_coding_times_finish(celslm_coding_times *t, celslm_codec_cost out[CELSLM_CODINGS]);
void celslm_coding_times_free(celslm_coding_times *t); /* NULL is allowed */
int64_t celslm_coding_times_needs(void);               /* random numbers */

#endif
