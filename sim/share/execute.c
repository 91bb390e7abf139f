#include "share/execute.h"

#include "share/corpus.h"

#include <stdlib.h>
#include <string.h>

/* A context's KV as a model stands on it, kept for the next request. */
typedef struct kept {
  int model, from, context;
  celslm_wire_codec codec;
  double bytes;
  celslm_session *session;
  struct kept *next;
} kept;

struct celslm_execution {
  const celslm_scenario *scenario;
  celslm_transformer **models; /* by the scenario's models */
  celslm_mapping map;
  celslm_text text;
  int64_t *context_at, prompts_at;
  kept *contexts;
};

/* ---- opening --------------------------------------------------------------------------------- */

static bool load_models(celslm_execution *x, celslm_error *err) {
  const celslm_scenario *s = x->scenario;
  x->models = celslm_alloc((unsigned long)s->n_models, sizeof *x->models);
  for (int i = 0; i < s->n_models; i++) {
    x->models[i] = celslm_load_checkpoint(s->models[i].checkpoint, err);
    if (!x->models[i]) return false;
    int words = celslm_transformer_shape_of(x->models[i])->vocabulary;
    if (words < 256)
      return celslm_fail(err, s->models[i].checkpoint, 0,
                         "has %d tokens; executed models read bytes and need 256", words);
  }
  return true;
}

static bool lay_out_text(celslm_execution *x, celslm_error *err) {
  const celslm_scenario *s = x->scenario;
  if (!celslm_text_read(s->execution_text, &x->text, err)) return false;
  x->context_at = celslm_alloc((unsigned long)s->n_contexts + 1, sizeof *x->context_at);
  for (int c = 0; c < s->n_contexts; c++)
    x->context_at[c + 1] = x->context_at[c] + s->contexts[c].tokens;
  x->prompts_at = x->context_at[s->n_contexts];
  enum { PROMPTS = 1024 };
  if (x->text.n >= x->prompts_at + PROMPTS) return true;
  return celslm_fail(err, s->execution_text, 0,
                     "has %lld bytes; the scenario's contexts take %lld, and prompts at least %d",
                     (long long)x->text.n, (long long)x->prompts_at, PROMPTS);
}

celslm_execution *celslm_execution_open(const celslm_scenario *s, celslm_error *err) {
  celslm_execution *x = celslm_alloc(1, sizeof *x);
  x->scenario = s;
  if (load_models(x, err) && lay_out_text(x, err) &&
      (!s->execution_map || celslm_mapping_read(s->execution_map, &x->map, err)))
    return x;
  celslm_execution_close(x);
  return NULL;
}

void celslm_execution_close(celslm_execution *x) {
  if (!x) return;
  for (kept *k = x->contexts, *next; k; k = next) {
    next = k->next;
    celslm_session_free(k->session);
    free(k);
  }
  for (int i = 0; x->models && i < x->scenario->n_models; i++)
    celslm_transformer_free(x->models[i]);
  celslm_mapping_free(&x->map);
  celslm_text_free(&x->text);
  free(x->models), free(x->context_at);
  free(x);
}

/* ---- contexts -------------------------------------------------------------------------------- */

/* Does the map lead from one model to the other? */
static bool map_fits(const celslm_execution *x, int from, int to) {
  const celslm_transformer_shape *c = celslm_transformer_shape_of(x->models[from]),
                                 *e = celslm_transformer_shape_of(x->models[to]);
  return x->map.layers && x->map.from == c->layers && x->map.to == e->layers &&
         x->map.width == celslm_source_width(x->map.source, c) &&
         x->map.kv_width == e->dim / e->q_heads * e->kv_heads;
}

static void map_context(celslm_execution *x, kept *k, const int32_t *tokens, int64_t n) {
  celslm_states cloud = celslm_states_read(x->models[k->from], n, tokens);
  int p = x->map.kv_width;
  float *kv = celslm_alloc((unsigned long)(n * 2 * p), sizeof *kv);
  celslm_session_hold(k->session, 0, n);
  for (int j = 0; j < x->map.to; j++) {
    celslm_mapping_apply(&x->map, j, &cloud, kv);
    k->bytes += celslm_wire_carry(k->codec, 0, &x->map.layers[j], n, p, kv);
    celslm_session_give(k->session, j, kv, 2 * p, kv + p, 2 * p);
  }
  free(kv);
  celslm_states_free(&cloud);
}

/* The KV of a context as the request's model has it. NULL on failure. */
static const kept *context_of(celslm_execution *x, const celslm_execution_request *r,
                              celslm_error *err) {
  const celslm_scenario *s = x->scenario;
  int from = r->from == r->model ? -1 : r->from;
  for (const kept *k = x->contexts; k; k = k->next)
    if (k->model == r->model && k->from == from && k->context == r->context &&
        (from < 0 || k->codec == r->codec))
      return k;
  if (from >= 0 && !map_fits(x, from, r->model)) {
    celslm_fail(err, s->file, 0,
                "no map from %s to %s: give <execution map=...>, written by celslm quality --map "
                "for these two",
                s->models[from].name, s->models[r->model].name);
    return NULL;
  }
  int64_t n = s->contexts[r->context].tokens;
  const int32_t *tokens = x->text.tokens + x->context_at[r->context];
  kept *k = celslm_alloc(1, sizeof *k);
  *k = (kept){.model = r->model, .from = from, .context = r->context, .codec = r->codec};
  k->session = celslm_session_create(x->models[r->model], CELSLM_K_F32, n, NULL);
  if (from >= 0)
    map_context(x, k, tokens, n);
  else
    celslm_transformer_trace(x->models[r->model], 1, &k->session, &n, tokens, NULL,
                             &(celslm_trace){0});
  k->next = x->contexts;
  return x->contexts = k;
}

/* ---- requests -------------------------------------------------------------------------------- */

static char *printable(const int32_t *tokens, int n) {
  char *text = celslm_alloc((unsigned long)n + 1, 1);
  for (int i = 0; i < n; i++)
    text[i] = tokens[i] == '\n' || (tokens[i] >= 32 && tokens[i] < 127) ? (char)tokens[i] : '?';
  return text;
}

bool celslm_execute(celslm_execution *x, const celslm_execution_request *r, celslm_executed *out,
                    celslm_error *err) {
  const celslm_transformer *t = x->models[r->model];
  const celslm_transformer_shape *h = celslm_transformer_shape_of(t);
  int64_t before = r->context >= 0 ? x->scenario->contexts[r->context].tokens : 0,
          room = x->text.n - x->prompts_at - r->prompt;
  *out = (celslm_executed){0};
  if (before + r->prompt + r->output > h->max_tokens || room < 0)
    return celslm_fail(err, x->scenario->file, 0,
                       "request %u has %lld tokens in all and a prompt of %d; %s reads %d, and the "
                       "text has prompts up to %lld",
                       r->id, (long long)(before + r->prompt + r->output), r->prompt,
                       x->scenario->models[r->model].name, h->max_tokens,
                       (long long)(x->text.n - x->prompts_at));
  const kept *context = NULL;
  if (r->context >= 0 && !(context = context_of(x, r, err))) return false;
  /* a large prime step: prompts lie anywhere */
  const int32_t *prompt = x->text.tokens + x->prompts_at + (int64_t)r->id * 7919 % (room + 1);
  celslm_session *s = celslm_session_create(t, CELSLM_K_F32, r->prompt + r->output,
                                            context ? context->session : NULL);
  float *logits = celslm_alloc((unsigned long)h->vocabulary, sizeof *logits);
  int32_t *token = celslm_alloc((unsigned long)r->output + 1, sizeof *token);
  celslm_transformer_forward(t, 1, &s, &(int64_t){r->prompt}, prompt, logits);
  for (int i = 0; i < r->output; i++) {
    token[i] = celslm_sample(h->vocabulary, logits, 0, 0, 0);
    if (i + 1 < r->output) celslm_transformer_forward(t, 1, &s, &(int64_t){1}, token + i, logits);
  }
  out->prompt = printable(prompt, r->prompt);
  out->text = printable(token, r->output);
  out->context_bytes = context ? context->bytes : 0;
  celslm_session_free(s);
  free(logits), free(token);
  return true;
}

void celslm_executed_free(celslm_executed *e) {
  free(e->prompt), free(e->text);
  *e = (celslm_executed){0};
}
