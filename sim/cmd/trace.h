/* trace.h - a run's timeline for trace viewers (ui.perfetto.dev, chrome://tracing): the Trace Event
 * Format as JSON. A process for each strategy, a thread for each engine; routes, cells and requests
 * are asynchronous slices, since many overlap. */
#ifndef CELSLM_CMD_TRACE_H
#define CELSLM_CMD_TRACE_H

#include "base/error.h"

/* Writes the spans of /timeline of a results file, and the requests they belong to. */
bool celslm_trace_write(const char *results, const char *trace, celslm_error *err);

#endif
