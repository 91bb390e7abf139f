/* bench.h - the suites of `celslm bench`. Each prints its figures with the reporter below. */
#ifndef CELSLM_CMD_BENCH_H
#define CELSLM_CMD_BENCH_H

#include <stdbool.h>

int celslm_bench_serve(bool json);
int celslm_bench_net(bool json);
/* threads 0: on one, and on two where the machine has them. */
int celslm_bench_kernels(bool json, int threads);
int celslm_bench_gemm(bool json, int threads);
int celslm_bench_attention(bool json, int threads);

/* One figure. `reference`, `ratio` and `required` are left out where NULL or NaN. `required` is the
 * bar of the ratio or, where that is left out, of the value; whether it holds is printed and
 * counted. As a table row, or as one JSON object on a line: name, value, unit, reference, ratio,
 * required, holds. */
void celslm_bench_report(bool json, const char *name, double value, const char *unit,
                         const char *reference, double ratio, double required);

#endif
