#include "cmd/execute.h"

#include "record/request.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRATEGY, END, ID, ENGINE, CONTEXT, SOURCE, PROMPT, OUTPUT, TTFT, E2E, BYTES, COLUMNS };
static const char *const columns[COLUMNS] = {
    "strategy",      "end",           "id",   "engine", "context", "context_source",
    "prompt_tokens", "output_tokens", "ttft", "e2e",    "kv_bytes"};

typedef struct requests {
  double *column[COLUMNS];
  uint64_t rows;
} requests;

static bool read_requests(const char *file, requests *q, celslm_error *err) {
  celslm_reader *r = celslm_reader_open(file, err);
  bool ok = r && celslm_reader_rows(r, "requests", &q->rows, err);
  for (int k = 0; ok && k < COLUMNS; k++)
    ok = (q->column[k] = celslm_reader_column(r, "requests", columns[k], err)) != NULL;
  celslm_reader_close(r);
  return ok;
}

/* The model whose KV of the context was fetched. Only CE-LSLM gives one model's KV to another. */
static int fetched_from(const celslm_scenario *s, const celslm_element *strategy, int model,
                        int source) {
  if (strcmp(strategy->name, "ce-lslm") != 0) return -1;
  if (source != CELSLM_CONTEXT_HIT && source != CELSLM_CONTEXT_FETCHED &&
      source != CELSLM_CONTEXT_JOINED)
    return -1;
  for (int i = 0; i < s->n_engines; i++)
    if (s->platform->hosts[s->engines[i].host].role == CELSLM_CLOUD)
      return s->engines[i].model == model ? -1 : s->engines[i].model;
  return -1;
}

static bool codec_of(const celslm_element *strategy, celslm_wire_codec *codec, celslm_error *err) {
  const char *name = celslm_element_attribute(strategy, "codec");
  *codec = CELSLM_WIRE_F16;
  if (!name) return true;
  for (int k = 0; k < CELSLM_WIRE_CODECS; k++)
    if (strcmp(name, celslm_wire_names[k]) == 0) {
      *codec = (celslm_wire_codec)k;
      return true;
    }
  return celslm_element_fail(strategy, err, "codec %s cannot be executed; f16, int8 and int4 can",
                             name);
}

/* Indented, so that one sees where it ends. */
static void print_text(const char *lead, const char *text) {
  printf("    %s", lead);
  for (; *text; text++) {
    putchar(*text);
    if (*text == '\n' && text[1]) printf("    %*s", (int)strlen(lead), "");
  }
  printf("\n");
}

static bool print_request(celslm_execution *x, const celslm_scenario *s, const requests *q,
                          uint64_t i, celslm_error *err) {
  const celslm_element *strategy = s->strategies[(int)q->column[STRATEGY][i]].element;
  int engine = (int)q->column[ENGINE][i], source = (int)q->column[SOURCE][i];
  celslm_execution_request r = {
      .model = s->engines[engine].model,
      .context = q->column[CONTEXT][i] < s->n_contexts ? (int)q->column[CONTEXT][i] : -1,
      .id = (uint32_t)q->column[ID][i],
      .prompt = (int)q->column[PROMPT][i],
      .output = (int)q->column[OUTPUT][i]};
  r.from = fetched_from(s, strategy, r.model, source);
  celslm_executed done;
  if (!codec_of(strategy, &r.codec, err) || !celslm_execute(x, &r, &done, err)) return false;
  printf("  request %u, %s on %s", r.id, s->models[r.model].name, s->engines[engine].name);
  if (r.context >= 0)
    printf(", context %s (%lld bytes)", s->contexts[r.context].name,
           (long long)s->contexts[r.context].tokens);
  if (r.from >= 0)
    printf(", its KV from %s as %s: %.0f B coded, %.0f B moved", s->models[r.from].name,
           celslm_wire_names[r.codec], done.context_bytes, q->column[BYTES][i]);
  printf("; first token %.2f ms, end %.2f ms\n", 1e3 * q->column[TTFT][i], 1e3 * q->column[E2E][i]);
  print_text("prompt: ", done.prompt);
  print_text("output: ", done.text);
  celslm_executed_free(&done);
  return true;
}

static bool print_strategy(celslm_execution *x, const celslm_scenario *s, const requests *q,
                           int strategy, celslm_error *err) {
  printf("\n%s\n", s->strategies[strategy].label);
  uint32_t next = 0; /* in order of arrival */
  for (uint64_t done = 0; done < q->rows; done++) {
    uint64_t best = q->rows;
    for (uint64_t i = 0; i < q->rows; i++)
      if ((int)q->column[STRATEGY][i] == strategy && q->column[ID][i] >= next &&
          (best == q->rows || q->column[ID][i] < q->column[ID][best]))
        best = i;
    if (best == q->rows) break;
    next = (uint32_t)q->column[ID][best] + 1;
    if ((int)q->column[END][best] != CELSLM_COMPLETED)
      printf("  request %.0f was not completed\n", q->column[ID][best]);
    else if (!print_request(x, s, q, best, err))
      return false;
  }
  return true;
}

bool celslm_execute_print(celslm_execution *x, const celslm_scenario *s, const char *results,
                          celslm_error *err) {
  requests q = {0};
  bool ok = read_requests(results, &q, err);
  for (int i = 0; ok && i < s->n_strategies; i++) ok = print_strategy(x, s, &q, i, err);
  for (int k = 0; k < COLUMNS; k++) free(q.column[k]);
  return ok;
}
