#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool celslm_fail(celslm_error *e, const char *file, int line, const char *format, ...) {
  if (!e || e->text[0]) return false;
  int at = 0;
  if (!file)
    at = snprintf(e->text, sizeof e->text, "celslm: ");
  else if (line > 0)
    at = snprintf(e->text, sizeof e->text, "%s:%d: ", file, line);
  else
    at = snprintf(e->text, sizeof e->text, "%s: ", file);
  if (at < 0 || (size_t)at >= sizeof e->text) return false;
  va_list args;
  va_start(args, format);
  vsnprintf(e->text + at, sizeof e->text - (size_t)at, format, args);
  va_end(args);
  for (char *p = e->text; *p; p++) /* whatever was quoted, one line stays one line */
    if ((unsigned char)*p < ' ') *p = ' ';
  return false;
}

static void *or_die(void *p) {
  if (p) return p;
  fputs("celslm: out of memory\n", stderr);
  _Exit(1);
}

void *celslm_alloc(unsigned long count, unsigned long size) {
  return or_die(calloc(count ? count : 1, size ? size : 1));
}

void *celslm_realloc(void *p, unsigned long count, unsigned long size) {
  unsigned long bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) or_die(NULL);
  return or_die(realloc(p, bytes ? bytes : 1));
}

char *celslm_strdup(const char *s) {
  return or_die(strdup(s));
}

char *celslm_format(const char *format, ...) {
  char *text = NULL;
  va_list args;
  va_start(args, format);
  int n = vasprintf(&text, format, args);
  va_end(args);
  return n < 0 ? or_die(NULL) : text;
}
