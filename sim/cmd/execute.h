/* execute.h - what celslm run adds to a scenario with compute="execute": the text. */
#ifndef CELSLM_CMD_EXECUTE_H
#define CELSLM_CMD_EXECUTE_H

#include "share/execute.h"

/* Runs the requests of a results file of this scenario through the kernels, and prints what each
 * strategy produced, with its simulated times. */
bool celslm_execute_print(celslm_execution *x, const celslm_scenario *s, const char *results,
                          celslm_error *err);

#endif
