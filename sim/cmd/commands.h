/* commands.h - the program's commands. Each takes its own arguments (argv[0] is its name) and
 * returns the exit status: 0 done, 1 the simulation found an inconsistency, 2 bad input, 130
 * interrupted. */
#ifndef CELSLM_CMD_COMMANDS_H
#define CELSLM_CMD_COMMANDS_H

#include "base/error.h"

#include <stdint.h>

typedef struct celslm_command {
  const char *name, *summary;
  int (*run)(int argc, char **argv);
} celslm_command;
extern const celslm_command celslm_commands[]; /* ends with a NULL name */

int celslm_cmd_run(int argc, char **argv);
int celslm_cmd_sweep(int argc, char **argv);
int celslm_cmd_validate(int argc, char **argv);
int celslm_cmd_list(int argc, char **argv);
int celslm_cmd_show(int argc, char **argv);
int celslm_cmd_cache(int argc, char **argv);
int celslm_cmd_report(int argc, char **argv);
int celslm_cmd_capacity(int argc, char **argv);
int celslm_cmd_calibrate(int argc, char **argv);
int celslm_cmd_profile(int argc, char **argv);
int celslm_cmd_radio(int argc, char **argv);
int celslm_cmd_bench(int argc, char **argv);
int celslm_cmd_quality(int argc, char **argv);

/* ---- what they share ------------------------------------------------------------------------- */

/* Prints the error and returns 2. */
int celslm_bad_input(const celslm_error *err);
/* Takes the value of option `name` at argv[*i] ("-o F", "--output F", "--output=F"). True if it is
 * this option; *value is NULL (and *err filled) if its value is missing. `shorter` may be NULL. */
bool celslm_option(int argc, char **argv, int *i, const char *name, const char *shorter,
                   const char **value, celslm_error *err);

/* An option of a command. */
typedef struct celslm_flag {
  const char *name, *shorter; /* "--output"; "-o" or NULL */
  const char **value;         /* where its value goes; NULL: it has none, and */
  bool *set;                  /* this becomes true */
  const char *needed;         /* what the value is ("FILE"), if the option must be given */
  int *count;                 /* not NULL: `value` is an array, and the option may come again, */
  int most;                   /* so many times */
} celslm_flag;
/* Reads all arguments of `command` ("profile fit") by its n flags; anything else is an error, but
 * --help or -h, which ends the reading and sets *help. */
bool celslm_flags(const char *command, int argc, char **argv, const celslm_flag *flags, int n,
                  bool *help, celslm_error *err);

bool celslm_read_jobs(const char *value, long *jobs, celslm_error *err);
bool celslm_read_seed(const char *value, uint64_t *seed, celslm_error *err);

#endif
