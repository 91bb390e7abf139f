/* show.h - `celslm show R.h5`: the summary of a results file, for people or (--json) for programs.
 */
#ifndef CELSLM_CMD_SHOW_H
#define CELSLM_CMD_SHOW_H

#include "record/record.h"

/* argv[0] is "show". Returns the exit status: 0 done, 2 bad input (one line on stderr). */
int celslm_cmd_show(int argc, char **argv);

/* Prints the summary of `file` on stdout; `celslm run` ends with it. */
bool celslm_show_print(const char *file, celslm_error *err);

/* Prints the classes of requests, if there are several; the second half of the above. */
bool celslm_show_classes(celslm_reader *from, celslm_error *err);

#endif
