/* test_traces.c - recorded loads: the prefixes of a Mooncake trace against a plain recomputation
 * from its lines, scaling of rates against its rule, and what is wrong with bad files. */
#include "trace_support.h"

#include <math.h>

static const char moon[] = CELSLM_TEST_DATA "/load/mooncake.jsonl";

/* ---- reading the file again, plainly --------------------------------------------------------- */

enum { MOST = 400, MOST_IDS = 64 };
typedef struct line {
  double time;
  long prompt, output, ids[MOST_IDS];
  int n_ids;
} line;

static double member(const char *text, const char *name) {
  const char *at = strstr(text, name);
  ck_assert_ptr_nonnull(at);
  return atof(strchr(at, ':') + 1);
}

static int read_plainly(line *lines) {
  FILE *f = fopen(moon, "r");
  ck_assert_ptr_nonnull(f);
  char text[4096];
  int n = 0;
  while (fgets(text, sizeof text, f)) {
    line *l = &lines[n];
    *l = (line){.time = member(text, "\"timestamp\"") / 1000,
                .prompt = (long)member(text, "\"input_length\""),
                .output = (long)member(text, "\"output_length\"")};
    char *at = strchr(strstr(text, "\"hash_ids\""), '[');
    while (*at != ']') l->ids[l->n_ids++] = strtol(at + 1, &at, 10);
    n += l->output > 0; /* the others failed on the real server */
  }
  fclose(f);
  return n;
}

static celslm_load *moon_load(celslm_scenario **s, const char *attributes) {
  char *text = celslm_format(
      "<workload><trace file=\"load/mooncake.jsonl\" format=\"mooncake\" %s/></workload>",
      attributes);
  *s = scenario_with("", "", text);
  free(text);
  return load_of(*s);
}

static int shared_ids(const line *a, const line *b) {
  int n = 0;
  while (n < a->n_ids && n < b->n_ids && a->ids[n] == b->ids[n]) n++;
  return n;
}

static int shared_blocks(const celslm_prefix *a, const celslm_prefix *b) {
  int n = 0;
  while (n < a->count && n < b->count && a->blocks[n] == b->blocks[n]) n++;
  return n;
}

START_TEST(test_mooncake_prefixes) {
  line *lines = celslm_alloc(MOST, sizeof *lines);
  int n = read_plainly(lines), several = 0;
  ck_assert_int_gt(n, 200);
  celslm_scenario *s;
  celslm_load *l = moon_load(&s, "");
  celslm_arrival *a = celslm_alloc(MOST, sizeof *a);
  for (int i = 0; i < n; i++) {
    ck_assert(celslm_load_next(l, &a[i]));
    ck_assert_double_eq_tol(celslm_seconds(a[i].time), lines[i].time - lines[0].time, 1e-9);
    ck_assert(a[i].prompt == lines[i].prompt && a[i].output == lines[i].output);
    const celslm_prefix *p = &a[i].demand.prefix;
    ck_assert(p->block == 512 && p->tokens == a[i].prompt && p->count == lines[i].n_ids);
    for (int j = 0; j < i; j++) {
      int expected = shared_ids(&lines[i], &lines[j]);
      const celslm_prefix *q = &a[j].demand.prefix;
      ck_assert_int_eq(shared_blocks(p, q), expected);
      several += expected > 2;
      /* in blocks of 16 tokens as far as both go within the blocks they share, and no further */
      int64_t both = p->tokens < q->tokens ? p->tokens : q->tokens, same = 0;
      while (16 * (same + 1) <= both && celslm_prefix_identity(p, 16 * (same + 1)) ==
                                            celslm_prefix_identity(q, 16 * (same + 1)))
        same++;
      int64_t most = 512 * (int64_t)expected < both ? 512 * (int64_t)expected : both;
      ck_assert_int_eq(same, most / 16);
    }
  }
  ck_assert(!celslm_load_next(l, &a[0]));
  ck_assert_int_gt(several, 100);
  free(a);
  free(lines);
  celslm_load_free(l);
  celslm_scenario_free(s);
}
END_TEST

/* An unbounded cache of blocks: tokens found in it, by the load's identities and by the raw ids. */
START_TEST(test_mooncake_hits) {
  line *lines = celslm_alloc(MOST, sizeof *lines);
  int n = read_plainly(lines), expected = 0, hits = 0, n_seen = 0, n_raw = 0;
  long *raw = celslm_alloc(MOST * MOST_IDS, sizeof *raw);
  uint64_t *seen = celslm_alloc(MOST * MOST_IDS, sizeof *seen);
  celslm_scenario *s;
  celslm_load *l = moon_load(&s, "");
  for (int i = 0; i < n; i++) {
    celslm_arrival a;
    ck_assert(celslm_load_next(l, &a));
    for (int part = 0; part < 2; part++) {
      bool hit = true; /* leading blocks only */
      for (int b = 0; b < lines[i].n_ids; b++) {
        int k = 0;
        if (part) {
          while (k < n_seen && seen[k] != a.demand.prefix.blocks[b]) k++;
          hits += hit = hit && k < n_seen;
          if (k == n_seen) seen[n_seen++] = a.demand.prefix.blocks[b];
        } else {
          while (k < n_raw && raw[k] != lines[i].ids[b]) k++;
          expected += hit = hit && k < n_raw;
          if (k == n_raw) raw[n_raw++] = lines[i].ids[b];
        }
      }
    }
  }
  ck_assert_int_eq(hits, expected);
  ck_assert_int_eq(n_seen, n_raw);
  ck_assert_int_gt(hits, 100);
  free(raw), free(seen), free(lines);
  celslm_load_free(l);
  celslm_scenario_free(s);
}
END_TEST

/* ---- scaling --------------------------------------------------------------------------------- */

/* Rate 3: copies 0, 1, 2 shifted by 0, 1/3 and 2/3 of the length, around its end; prefixes are
 * shared within a copy as in the trace, between copies never. */
START_TEST(test_superposition) {
  line *lines = celslm_alloc(MOST, sizeof *lines);
  int n = read_plainly(lines);
  double length = lines[n - 1].time - lines[0].time;
  celslm_scenario *s;
  celslm_load *l = moon_load(&s, "rate_scale=\"3\" time_scale=\"2\"");
  celslm_arrival *a = celslm_alloc(3 * MOST, sizeof *a);
  int got = 0, *copies = celslm_alloc(3 * MOST, sizeof *copies);
  while (got < 3 * n && celslm_load_next(l, &a[got])) got++;
  ck_assert_int_eq(got, 3 * n);
  ck_assert(!celslm_load_next(l, &a[0]));
  bool *used = celslm_alloc(3 * MOST, sizeof *used);
  for (int k = 0; k < 3; k++)
    for (int i = 0; i < n; i++) {
      double at = lines[i].time - lines[0].time + k * length / 3;
      if (at > length) at -= length;
      int found = -1;
      for (int j = 0; j < got && found < 0; j++)
        if (!used[j] && fabs(celslm_seconds(a[j].time) - 2 * at) < 1e-6 &&
            a[j].prompt == lines[i].prompt && a[j].output == lines[i].output)
          found = j;
      ck_assert_msg(found >= 0, "copy %d of row %d is missing", k, i);
      used[found] = true;
      copies[found] = k * MOST + i;
    }
  int64_t within = 0, between = 0, expected = 0;
  for (int i = 0; i < got; i++)
    for (int j = 0; j < i; j++) {
      int shared = shared_blocks(&a[i].demand.prefix, &a[j].demand.prefix);
      *(copies[i] / MOST == copies[j] / MOST ? &within : &between) += shared;
    }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++) expected += shared_ids(&lines[i], &lines[j]);
  ck_assert_int_eq(between, 0);
  ck_assert_int_eq(within, 3 * expected);
  free(a), free(copies), free(used), free(lines);
  celslm_load_free(l);
  celslm_scenario_free(s);
}
END_TEST

/* Thinning keeps each row with the stated probability; 1.5 is the trace and a thinned copy. */
START_TEST(test_thinning) {
  static const struct {
    const char *scale;
    double rate;
  } cases[] = {{"0.1", 0.1}, {"0.5", 0.5}, {"0.9", 0.9}, {"1", 1}, {"1.5", 1.5}, {"7.25", 7.25}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    char *text = celslm_format("<workload><trace file=\"load/mooncake.jsonl\" format=\"mooncake\" "
                               "rate_scale=\"%s\"/></workload>",
                               cases[k].scale);
    double n = 233, sum = 0, p = cases[k].rate - floor(cases[k].rate);
    enum { SEEDS = 40 };
    for (int seed = 0; seed < SEEDS; seed++) {
      celslm_scenario *s = scenario_with("", "", text);
      s->seed = (uint64_t)seed;
      celslm_load *l = load_of(s);
      celslm_arrival a;
      celslm_ns last = 0;
      for (; celslm_load_next(l, &a); sum++) {
        ck_assert_int_ge(a.time, last);
        last = a.time;
      }
      celslm_load_free(l);
      celslm_scenario_free(s);
    }
    ck_assert_double_eq_tol(sum / SEEDS, n * cases[k].rate,
                            4 * sqrt(n * p * (1 - p) / SEEDS) + 1e-9);
    free(text);
  }
}
END_TEST

/* ---- bad files ------------------------------------------------------------------------------- */

#define ROW                                                                                        \
  "{\"timestamp\": 5, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [1, 2]}\n"
#define SHAPE                                                                                      \
  "; a row is {\"timestamp\": ms, \"input_length\": n, \"output_length\": n, \"hash_ids\": [...]}"
#define AZURE "TIMESTAMP,ContextTokens,GeneratedTokens\n"
#define BURST "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"

static const struct {
  const celslm_trace_format *format;
  const char *text, *error;
} bad[] = {
    {&celslm_trace_mooncake, "", ": the trace is empty; give a file with one row per request"},
    {&celslm_trace_mooncake, "\n\n", ": the trace has no rows; give one per request"},
    {&celslm_trace_mooncake,
     "{\"timestamp\": 1, \"input_length\": 1, \"output_length\": 0, \"hash_ids\": [1]}\n",
     ": the trace has no rows; give one per request"},
    {&celslm_trace_mooncake, ROW "{\"timestamp\": 5, \"input_len",
     ":2: the row is cut short" SHAPE},
    {&celslm_trace_mooncake,
     ROW "{\"timestamp\": 5, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [1, 2",
     ":2: the row is cut short" SHAPE},
    {&celslm_trace_mooncake, "{\"timestamp\": 5, \"input_length\": 600, \"output_length\": 3}\n",
     ":1: \"hash_ids\" is missing; a row has timestamp, input_length, output_length and hash_ids"},
    {&celslm_trace_mooncake,
     ROW "{\"timestamp\": 4, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [1, 2]}\n",
     ":2: earlier than the row before it; sort the trace by time"},
    {&celslm_trace_mooncake,
     "{\"timestamp\": -4, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [1, 2]}\n",
     ":1: timestamp -4; allowed are 0 to 1e12 ms"},
    {&celslm_trace_mooncake,
     "{\"timestamp\": NaN, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [1, 2]}\n",
     ":1: cannot read from \"NaN, \"input_length\": 600, \"output_length\" on" SHAPE},
    {&celslm_trace_mooncake,
     "{\"timestamp\": 1e300, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [1, 2]}\n",
     ":1: timestamp 1e+300; allowed are 0 to 1e12 ms"},
    {&celslm_trace_mooncake,
     "{\"timestamp\": 1, \"input_length\": -600, \"output_length\": 3, \"hash_ids\": [1, 2]}\n",
     ":1: input_length -600; allowed are whole numbers from 1 to 16777216"},
    {&celslm_trace_mooncake,
     "{\"timestamp\": 1, \"input_length\": 6e99, \"output_length\": 3, \"hash_ids\": [1, 2]}\n",
     ":1: input_length 6e+99; allowed are whole numbers from 1 to 16777216"},
    {&celslm_trace_mooncake,
     "{\"timestamp\": 1, \"input_length\": 600, \"output_length\": 2.5, \"hash_ids\": [1, 2]}\n",
     ":1: output_length 2.5; allowed are whole numbers from 0 to 16777216"},
    {&celslm_trace_mooncake,
     "{\"timestamp\": 1, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [1, -2]}\n",
     ":1: cannot read from \"-2]}\" on" SHAPE},
    {&celslm_trace_mooncake,
     "{\"timestamp\": 1, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [1]}\n",
     ":1: 1 hash_ids; 600 tokens are 2 blocks of 512 (block_size of <workload>)"},
    {&celslm_trace_mooncake,
     "{\"timestamp\": 1, \"timestamp\": 2, \"input_length\": 600, \"output_length\": 3, "
     "\"hash_ids\": [1, 2]}\n",
     ":1: a second \"timestamp\"; give each once"},
    {&celslm_trace_mooncake, ROW "timestamp,prompt\n",
     ":2: cannot read from \"timestamp,prompt\" on" SHAPE},
    {&celslm_trace_mooncake, "{} x\n", ":1: cannot read from \"} x\" on" SHAPE},
    {&celslm_trace_azure, "", ": the trace is empty; give a file with one row per request"},
    {&celslm_trace_azure, AZURE "2023-11-16 18:15:46.68,374,44\n2023-11-16 18:1",
     ":3: cannot read \"2023-11-16 18:1\"; a row is YYYY-MM-DD hh:mm:ss.fffffff,tokens,tokens"},
    {&celslm_trace_azure, AZURE "2023-11-16 18:15:46.68,nan,44\n",
     ":2: cannot read \"2023-11-16 18:15:46.68,nan,44\"; a row is YYYY-MM-DD "
     "hh:mm:ss.fffffff,tokens,tokens"},
    {&celslm_trace_burstgpt, "", ": the trace is empty; give a file with one row per request"},
    {&celslm_trace_burstgpt, "Timestamp,Model\n",
     ":1: the header is \"Timestamp,Model\"; a BurstGPT trace begins with "
     "\"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\""},
    {&celslm_trace_burstgpt, BURST "5,GPT-4,10,",
     ":2: cannot read \"5,GPT-4,10,\"; a row is "
     "seconds,model,tokens,tokens,tokens,type"},
    {&celslm_trace_burstgpt, BURST "-5,GPT-4,10,20,30,API log\n",
     ":2: the time \"-5,GPT-4,10,20,30,API log\" is not 0 s to 1e9 s"},
    {&celslm_trace_burstgpt, BURST "nan,GPT-4,10,20,30,API log\n",
     ":2: the time \"nan,GPT-4,10,20,30,API log\" is not 0 s to 1e9 s"},
    {&celslm_trace_burstgpt, BURST "1e99,GPT-4,10,20,30,API log\n",
     ":2: the time \"1e99,GPT-4,10,20,30,API log\" is not 0 s to 1e9 s"},
    {&celslm_trace_burstgpt, BURST "5,GPT-4,-10,20,30,API log\n",
     ":2: -10 and 20 tokens; allowed are 0 to 16777216 each"},
    {&celslm_trace_burstgpt, BURST "5,GPT-4,99999999999,20,30,API log\n",
     ":2: 99999999999 and 20 tokens; allowed are 0 to 16777216 each"},
    {&celslm_trace_burstgpt, BURST "5,GPT-4,1,2,3,API log\n4,GPT-4,1,2,3,API log\n",
     ":3: earlier than the row before it; sort the trace by time"},
    {&celslm_trace_burstgpt, BURST "5,GPT-4,0,0,0,API log\n",
     ": the trace has no rows; give one per request"},
};

/* `n` bytes, so that zeros can be among them. */
static bool try_bytes(const celslm_trace_format *format, const char *bytes, size_t n, char *name,
                      celslm_error *err) {
  strcpy(name, "/tmp/celslm-trace-XXXXXX");
  int fd = mkstemp(name);
  FILE *f = fdopen(fd, "w");
  fwrite(bytes, 1, n, f);
  fclose(f);
  celslm_trace *t = celslm_trace_read(name, format, 512, INT64_MAX, err);
  unlink(name);
  celslm_trace_free(t);
  return t != NULL;
}

START_TEST(test_bad_trace) {
  celslm_error err = {0};
  char name[40];
  ck_assert(!try_bytes(bad[_i].format, bad[_i].text, strlen(bad[_i].text), name, &err));
  char *expected = celslm_format("%s%s", name, bad[_i].error);
  ck_assert_str_eq(err.text, expected);
  free(expected);
}
END_TEST

/* A line without an end, zero bytes, a folder, no file: an error at once, and little memory. */
START_TEST(test_not_text) {
  const celslm_trace_format *formats[] = {&celslm_trace_mooncake, &celslm_trace_azure};
  for (int k = 0; k < 2; k++) {
    char name[40];
    celslm_error err = {0};
    size_t n = 3 << 20;
    char *bytes = celslm_alloc(n, 1);
    memset(bytes, '7', n);
    ck_assert(!try_bytes(formats[k], bytes, n, name, &err));
    ck_assert_ptr_nonnull(strstr(err.text, ":1: not a line of text; a trace is a text file"));
    err.text[0] = 0;
    ck_assert(!try_bytes(formats[k], "a\0b\n", 4, name, &err));
    ck_assert_ptr_nonnull(strstr(err.text, ":1: not a line of text"));
    free(bytes);
    err.text[0] = 0;
    ck_assert_ptr_null(celslm_trace_read("/dev/zero", formats[k], 512, INT64_MAX, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/dev/zero:1: not a line of text"));
    err.text[0] = 0;
    ck_assert_ptr_null(celslm_trace_read("/tmp", formats[k], 512, INT64_MAX, &err));
    ck_assert_str_eq(err.text,
                     "/tmp:1: cannot be read: Is a directory; give a file of lines of text");
    err.text[0] = 0;
    ck_assert_ptr_null(celslm_trace_read("/nowhere", formats[k], 512, INT64_MAX, &err));
    ck_assert_str_eq(err.text, "/nowhere: cannot be opened: No such file or directory; give a "
                               "readable file");
  }
}
END_TEST

/* Every truncation of a row fails or, with its closing brace, is the row; changed bytes never
 * crash. */
START_TEST(test_mutations) {
  char name[40];
  for (size_t n = 1; n < strlen(ROW); n++) {
    celslm_error err = {0};
    bool ok = try_bytes(&celslm_trace_mooncake, ROW, n, name, &err);
    ck_assert(ok == (n == strlen(ROW) - 1));
    ck_assert(ok == !err.text[0]);
  }
  unsigned random = 1;
  for (int i = 0; i < 3000; i++) {
    celslm_error err = {0};
    char copy[] = ROW;
    for (int k = 0; k < 1 + i % 3; k++) {
      random = random * 1103515245 + 12345;
      copy[random / 65536 % (sizeof copy - 1)] = (char)(random / 256 % 256);
    }
    bool ok = try_bytes(&celslm_trace_mooncake, copy, sizeof copy - 1, name, &err);
    ck_assert(ok == !err.text[0]);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("traces");
  TCase *tcase = tcase_create("traces");
  tcase_add_test(tcase, test_mooncake_prefixes);
  tcase_add_test(tcase, test_mooncake_hits);
  tcase_add_test(tcase, test_superposition);
  tcase_add_test(tcase, test_thinning);
  tcase_add_test(tcase, test_not_text);
  tcase_add_test(tcase, test_mutations);
  tcase_add_loop_test(tcase, test_bad_trace, 0, (int)(sizeof bad / sizeof *bad));
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
