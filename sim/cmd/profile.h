/* profile.h - the parts of `celslm profile`: each takes its own arguments (argv[0] is its name) and
 * returns the exit status. */
#ifndef CELSLM_CMD_PROFILE_H
#define CELSLM_CMD_PROFILE_H

int celslm_profile_fit(int argc, char **argv);      /* curves or efficiencies from data */
int celslm_profile_fit_rows(int argc, char **argv); /* ... the second of these */
int celslm_profile_table(int argc, char **argv);    /* kernel tables with interpolation */
int celslm_profile_check(int argc, char **argv);    /* predictions beside published rows */

#endif
