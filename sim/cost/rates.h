/* rates.h - the decode and prefill rates that a profile predicts for a published row.
 *
 * A pass over a batch costs what sim/cost says of its op list, plus, under tensor parallelism, two
 * all-reduces per layer. Weights count with the true bits of their format; heads, FFN and
 * vocabulary are divided among the devices. Then, with B requests of P prompt and N output tokens,
 * a decode step of B requests s(c) at a context of c tokens each, and p the prefill of one prompt:
 *   step   B / s(P + N/2)            empty  B / s(N/2)
 *   e2e    B N / (B p + N s)         loop   the same, B at most what the KV memory holds
 *   tpot   B / (s + (B - 1) p / N)   every other request's prompt is computed once per output
 * If the KV memory does not hold B requests, as many take part as it holds (e2e: in turns).
 * Prompts not published count as 512 tokens for servers (tpot, loop) and as none otherwise;
 * outputs as 128. Layer splits over several devices (count above TP) decode as one device does and
 * pass the chunks of a prompt along as a pipeline. */
#ifndef CELSLM_COST_RATES_H
#define CELSLM_COST_RATES_H

#include "cost/devices.h"

typedef struct celslm_rates {
  double decode, prefill; /* tokens/s; NaN: cannot be told */
  double power;           /* W of all devices while decoding; NaN */
  double batch, context;  /* that the decode step was priced at */
} celslm_rates;

/* False: the profile cannot run the row's precision, or the format is not known. */
bool celslm_rates_predict(const celslm_profile *p, const celslm_row *row, const celslm_model *model,
                          celslm_rates *out, celslm_error *err);

#endif
