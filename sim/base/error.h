/* error.h - the one error type of the simulator.
 *
 * A function that can fail on the user's input returns bool and takes a `celslm_error *`.
 * It returns false exactly when it has filled the error; the first error wins.
 * The text is one line, ready to print: "file:line: what is wrong; what is allowed". */
#ifndef CELSLM_BASE_ERROR_H
#define CELSLM_BASE_ERROR_H

#include <stdbool.h>

typedef struct celslm_error {
  char text[1024]; /* empty: no error */
} celslm_error;

/* Fills `e` (which may be NULL) unless it is filled already, and returns false.
 * `file` may be NULL (the message then starts with "celslm: "); `line` <= 0 leaves the line out. */
bool celslm_fail(celslm_error *e, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Memory that cannot be had ends the program with a line on stderr and status 1: none of our
 * users can act on it. Zeroed. Free with free(). */
void *celslm_alloc(unsigned long count, unsigned long size);
void *celslm_realloc(void *p, unsigned long count, unsigned long size);
char *celslm_strdup(const char *s);
/* printf into a fresh string. */
char *celslm_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
