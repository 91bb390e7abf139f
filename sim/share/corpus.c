#include "share/corpus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(celslm_text *t, int64_t *room, const char *s, int64_t n) {
  if (t->n + n > *room) {
    *room = 2 * (t->n + n);
    t->tokens = celslm_realloc(t->tokens, (unsigned long)*room, sizeof *t->tokens);
  }
  for (int64_t i = 0; i < n; i++) t->tokens[t->n++] = (unsigned char)s[i];
}

/* Is the book in the comma-separated list? */
static bool listed(const char *list, const char *book, size_t n) {
  for (const char *p = list;; p++) {
    size_t length = strcspn(p, ",");
    if (length == n && strncmp(p, book, n) == 0) return true;
    p += length;
    if (!*p) return false;
  }
}

/* Where a line's book and its text end and begin: "Ruth<tab>text", or "Ruth1:1 text" as `bible`
 * prints it. */
static bool split(const char *line, size_t *book, const char **text) {
  const char *tab = strchr(line, '\t');
  const char *end = tab ? tab : strchr(line, ' ');
  if (!end) return false;
  *text = end + 1;
  *book = (size_t)(end - line);
  if (tab) return true;
  while (*book > 0 && strchr("0123456789:", line[*book - 1])) --*book;
  return *book > 0;
}

bool celslm_corpus_read(const char *file, const char *held_out, celslm_text *known,
                        celslm_text *unknown, celslm_error *err) {
  FILE *f = file ? fopen(file, "r") : popen("bible -f gen1:1-rev22:21 </dev/null 2>/dev/null", "r");
  *known = *unknown = (celslm_text){0};
  if (!f) return celslm_fail(err, NULL, 0, "%s: %s", file ? file : "bible", strerror(errno));
  char *line = NULL;
  size_t size = 0, book;
  int64_t known_room = 0, unknown_room = 0;
  const char *text;
  for (ssize_t n; (n = getline(&line, &size, f)) > 0;)
    if (split(line, &book, &text)) {
      bool out = listed(held_out, line, book);
      add(out ? unknown : known, out ? &unknown_room : &known_room, text, n - (text - line));
    }
  free(line);
  if (file)
    fclose(f);
  else
    pclose(f);
  enum { LEAST = 100000 };
  if (known->n >= LEAST && unknown->n >= LEAST) return true;
  celslm_text_free(known), celslm_text_free(unknown);
  return celslm_fail(err, NULL, 0,
                     file ? "%s: fewer than 100,000 bytes to know or to hold out; lines are "
                            "BOOK<tab>text"
                          : "%s prints no text: install bible-kjv, or name a file with --text",
                     file ? file : "bible");
}

bool celslm_text_read(const char *file, celslm_text *t, celslm_error *err) {
  FILE *f = fopen(file, "r");
  *t = (celslm_text){0};
  if (!f) return celslm_fail(err, NULL, 0, "%s: %s", file, strerror(errno));
  char block[4096];
  int64_t room = 0;
  for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;) add(t, &room, block, (int64_t)n);
  bool ok = !ferror(f);
  fclose(f);
  return ok || celslm_fail(err, NULL, 0, "%s: cannot be read", file);
}

void celslm_text_keep(celslm_text *t, const celslm_text *known) {
  bool seen[256] = {false};
  for (int64_t i = 0; i < known->n; i++) seen[known->tokens[i]] = true;
  int64_t kept = 0;
  for (int64_t i = 0; i < t->n; i++)
    if (seen[t->tokens[i]]) t->tokens[kept++] = t->tokens[i];
  t->n = kept;
}

void celslm_text_free(celslm_text *t) {
  free(t->tokens);
  *t = (celslm_text){0};
}

int64_t celslm_text_piece_begin(const celslm_text *t, int64_t length, int i, int pieces) {
  return pieces > 1 ? (t->n - length) / (pieces - 1) * i : 0;
}

const int32_t *celslm_text_piece(const celslm_text *t, int64_t length, int i, int pieces) {
  if (t->n < length) return NULL;
  return t->tokens + celslm_text_piece_begin(t, length, i, pieces);
}
