/* trace_burstgpt.c - the BurstGPT traces of releases 1 and 1.1 (Y. Wang et al., arXiv 2401.17644,
 * CC-BY-4.0): Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type; times in s.
 * Requests with no response tokens failed on the real server and are left out. */
#include "load/load.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char columns[] =
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type";

static bool header(const char *line, const char *file, celslm_error *err) {
  if (strcmp(line, columns) == 0) return true;
  return celslm_fail(err, file, 1, "the header is \"%.90s\"; a BurstGPT trace begins with \"%s\"",
                     line, columns);
}

static bool row(const char *line, const char *file, int number, celslm_trace *t,
                celslm_trace_row *out, celslm_error *err) {
  (void)t;
  double time;
  long long prompt, output, total;
  int end = 0;
  int got = sscanf(line, "%lf,%*[^,],%lld,%lld,%lld,%n", &time, &prompt, &output, &total, &end);
  if (got != 4 || !end || strchr(line + end, ','))
    return celslm_fail(err, file, number,
                       "cannot read \"%.80s\"; a row is seconds,model,tokens,tokens,tokens,type",
                       line);
  if (!(time >= 0 && time <= 1e9))
    return celslm_fail(err, file, number, "the time \"%.30s\" is not 0 s to 1e9 s", line);
  if (prompt < 0 || prompt > 1 << 24 || output < 0 || output > 1 << 24)
    return celslm_fail(err, file, number, "%lld and %lld tokens; allowed are 0 to %d each", prompt,
                       output, 1 << 24);
  out->time = time;
  out->prompt = (int32_t)prompt;
  out->output = prompt > 0 ? (int32_t)output : 0;
  return true;
}

const celslm_trace_format celslm_trace_burstgpt = {"burstgpt", "BurstGPT releases 1 and 1.1 (CSV)",
                                                   header, row};
