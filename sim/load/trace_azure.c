/* trace_azure.c - the Azure LLM inference traces: TIMESTAMP,ContextTokens,GeneratedTokens
 * (Azure Public Dataset, CC-BY-4.0; P. Patel et al., "Splitwise", ISCA 2024). */
#include "load/load.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char columns[] = "TIMESTAMP,ContextTokens,GeneratedTokens";

static bool header(const char *line, const char *file, celslm_error *err) {
  if (strcmp(line, columns) == 0) return true;
  return celslm_fail(err, file, 1, "the header is \"%.60s\"; an Azure trace begins with \"%s\"",
                     line, columns);
}

/* Days since 1970-01-01 of a date in the Gregorian calendar (H. Hinnant's days_from_civil). */
static double days(int year, int month, int day) {
  year -= month <= 2;
  int era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
  int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097.0 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool row(const char *line, const char *file, int number, celslm_trace *t,
                celslm_trace_row *out, celslm_error *err) {
  (void)t;
  int year, month, day, hour, minute, end = 0;
  double second;
  long long prompt, output;
  int got = sscanf(line, "%4d-%2d-%2d %2d:%2d:%lf,%lld,%lld%n", &year, &month, &day, &hour, &minute,
                   &second, &prompt, &output, &end);
  if (got != 8 || line[end])
    return celslm_fail(err, file, number,
                       "cannot read \"%.60s\"; a row is YYYY-MM-DD hh:mm:ss.fffffff,tokens,tokens",
                       line);
  bool date = month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour >= 0 && hour < 24 &&
              minute >= 0 && minute < 60 && isfinite(second) && second >= 0 && second < 61;
  if (!date)
    return celslm_fail(err, file, number, "\"%.30s\" is no date and time; give YYYY-MM-DD hh:mm:ss",
                       line);
  if (prompt < 1 || prompt > 1 << 24 || output < 1 || output > 1 << 24)
    return celslm_fail(err, file, number, "%lld and %lld tokens; allowed are 1 to %d each", prompt,
                       output, 1 << 24);
  out->time = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
  out->prompt = (int32_t)prompt;
  out->output = (int32_t)output;
  return true;
}

const celslm_trace_format celslm_trace_azure = {"azure", "Azure LLM inference traces (CSV)", header,
                                                row};
