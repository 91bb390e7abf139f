/* trace_support.h - scenarios with one kind of load, for the suites of sim/load. */
#ifndef CELSLM_TESTS_LOAD_TRACE_SUPPORT_H
#define CELSLM_TESTS_LOAD_TRACE_SUPPORT_H

#include "load/load.h"
#include "support.h"

static inline celslm_scenario *scenario_with(const char *attributes, const char *contexts,
                                             const char *workloads) {
  celslm_error err = {0};
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"9\" %s><platform file=\"pair.xml\"/><models><model "
      "file=\"models/big.xml\"/></models><engines><engine name=\"cloud\" host=\"cloud\" "
      "model=\"big\"/></engines>%s%s<strategy><cloud-only/></strategy></scenario>",
      attributes, contexts, workloads);
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  free(text);
  return s;
}

static inline celslm_load *load_of(const celslm_scenario *s) {
  celslm_error err = {0};
  celslm_load *l = celslm_load_new(s, &err);
  ck_assert_msg(l != NULL, "%s", err.text);
  return l;
}

#endif
