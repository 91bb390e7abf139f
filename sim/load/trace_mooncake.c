/* trace_mooncake.c - the Mooncake traces (R. Qin et al., "Mooncake", FAST 2025; Apache-2.0): one
 * JSON object per line,
 *   {"timestamp": ms, "input_length": tokens, "output_length": tokens, "hash_ids": [id, ...]}
 * where hash_ids names the blocks of the prompt, 512 tokens each (another size: block_size of
 * <workload>), the last one as far as it is filled; equal ids, equal blocks and equal prefixes.
 * Other members with plain values are skipped. Requests without output are left out. */
#include "load/load.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TIMESTAMP, INPUT, OUTPUT, HASHES, MEMBERS };
static const char *const members[] = {"timestamp", "input_length", "output_length", "hash_ids"};

typedef struct scanner {
  const char *at, *file;
  int number;
  celslm_error *err;
} scanner;

static void skip_space(scanner *s) {
  while (*s->at == ' ' || *s->at == '\t') s->at++;
}

static bool next_is(scanner *s, char c) {
  skip_space(s);
  if (*s->at != c) return false;
  s->at++;
  return true;
}

static bool malformed(const scanner *s) {
  return celslm_fail(s->err, s->file, s->number,
                     *s->at ? "cannot read from \"%.40s\" on; a row is {\"timestamp\": ms, "
                              "\"input_length\": n, \"output_length\": n, \"hash_ids\": [...]}"
                            : "%sthe row is cut short; a row is {\"timestamp\": ms, "
                              "\"input_length\": n, \"output_length\": n, \"hash_ids\": [...]}",
                     s->at);
}

/* A JSON string; only its extent: *text is what stands between the quotes, as written. */
static bool read_string(scanner *s, const char **text, size_t *n) {
  if (!next_is(s, '"')) return malformed(s);
  *text = s->at;
  while (*s->at && *s->at != '"') s->at += s->at[0] == '\\' && s->at[1] ? 2 : 1;
  *n = (size_t)(s->at - *text);
  return *s->at++ == '"' || (s->at--, malformed(s));
}

static bool read_number(scanner *s, double *value) {
  skip_space(s);
  if (*s->at != '-' && !isdigit((unsigned char)*s->at)) return malformed(s);
  char *end;
  *value = strtod(s->at, &end);
  s->at = end;
  return true;
}

static bool read_ids(scanner *s, celslm_trace *t) {
  if (!next_is(s, '[')) return malformed(s);
  if (next_is(s, ']')) return true;
  do {
    skip_space(s);
    if (!isdigit((unsigned char)*s->at)) return malformed(s);
    char *end;
    errno = 0;
    uint64_t id = strtoull(s->at, &end, 10);
    if (errno || *end == '.' || *end == 'e' || *end == 'E') return malformed(s);
    s->at = end;
    if (t->n_ids == t->ids_size)
      t->ids = celslm_realloc(t->ids,
                              (unsigned long)(t->ids_size = t->ids_size ? 2 * t->ids_size : 4096),
                              sizeof *t->ids);
    t->ids[t->n_ids++] = id;
  } while (next_is(s, ','));
  return next_is(s, ']') || malformed(s);
}

/* Any other value: a string, a number, true, false, null, or a list of such. */
static bool skip_value(scanner *s) {
  const char *text;
  size_t n;
  double number;
  skip_space(s);
  if (*s->at == '"') return read_string(s, &text, &n);
  if (next_is(s, '[')) {
    if (next_is(s, ']')) return true;
    do {
      if (!skip_value(s)) return false;
    } while (next_is(s, ','));
    return next_is(s, ']') || malformed(s);
  }
  static const char *const words[] = {"true", "false", "null"};
  for (int i = 0; i < 3; i++)
    if (strncmp(s->at, words[i], strlen(words[i])) == 0) {
      s->at += strlen(words[i]);
      return true;
    }
  return read_number(s, &number);
}

static bool tokens_in_range(const scanner *s, const char *name, double tokens, int least) {
  return (tokens >= least && tokens <= 1 << 24 && tokens == floor(tokens)) ||
         celslm_fail(s->err, s->file, s->number,
                     "%s %.12g; allowed are whole numbers from %d to %d", name, tokens, least,
                     1 << 24);
}

static bool read_members(scanner *s, celslm_trace *t, double values[MEMBERS], bool given[MEMBERS]) {
  if (!next_is(s, '{')) return malformed(s);
  do {
    const char *name;
    size_t n;
    int m = 0;
    if (!read_string(s, &name, &n)) return false;
    if (!next_is(s, ':')) return malformed(s);
    while (m < MEMBERS && (strlen(members[m]) != n || strncmp(members[m], name, n))) m++;
    if (m < MEMBERS && given[m])
      return celslm_fail(s->err, s->file, s->number, "a second \"%s\"; give each once", members[m]);
    if (m < MEMBERS) given[m] = true;
    if (m == MEMBERS ? !skip_value(s) : m == HASHES ? !read_ids(s, t) : !read_number(s, &values[m]))
      return false;
  } while (next_is(s, ','));
  if (!next_is(s, '}')) return malformed(s);
  skip_space(s);
  return !*s->at || malformed(s);
}

static bool row(const char *line, const char *file, int number, celslm_trace *t,
                celslm_trace_row *out, celslm_error *err) {
  scanner s = {line, file, number, err};
  double values[MEMBERS] = {0};
  bool given[MEMBERS] = {false};
  int64_t before = t->n_ids;
  if (!read_members(&s, t, values, given)) return false;
  for (int m = 0; m < MEMBERS; m++)
    if (!given[m])
      return celslm_fail(err, file, number,
                         "\"%s\" is missing; a row has timestamp, input_length, output_length and "
                         "hash_ids",
                         members[m]);
  if (!(values[TIMESTAMP] >= 0 && values[TIMESTAMP] <= 1e12))
    return celslm_fail(err, file, number, "timestamp %g; allowed are 0 to 1e12 ms",
                       values[TIMESTAMP]);
  if (!tokens_in_range(&s, "input_length", values[INPUT], 1) ||
      !tokens_in_range(&s, "output_length", values[OUTPUT], 0))
    return false;
  int64_t tokens = (int64_t)values[INPUT], needed = (tokens + t->block - 1) / t->block;
  if (t->n_ids - before != needed)
    return celslm_fail(
        err, file, number,
        "%lld hash_ids; %lld tokens are %lld blocks of %d (block_size of <workload>)",
        (long long)(t->n_ids - before), (long long)tokens, (long long)needed, t->block);
  out->time = values[TIMESTAMP] * 1e-3;
  out->prompt = (int32_t)tokens;
  out->output = (int32_t)values[OUTPUT];
  return true;
}

const celslm_trace_format celslm_trace_mooncake = {
    "mooncake", "Mooncake traces (JSON lines), with the prefixes that prompts share", NULL, row};
