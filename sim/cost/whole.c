/* whole.c - times a whole small model (see whole.h). */
#include "cost/whole.h"

#include "cost/operands.h"
#include "kernels/transformer.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_SEQUENCES = 8 };

struct celslm_whole {
  celslm_transformer *model;
  celslm_whole_case *cases;
  celslm_operands *operands;
  celslm_session *sessions[CELSLM_WHOLE_CASES][MOST_SEQUENCES]; /* of those that decode */
  int32_t *tokens;
  float *logits;
  celslm_packed *tiny;                                 /* a product that wakes the threads */
  double times[CELSLM_WHOLE_CASES][CELSLM_MOST_TIMES]; /* of which `taken` are filled */
  int taken[CELSLM_WHOLE_CASES];
  int repeats; /* -1: not warm yet */
};

celslm_model celslm_whole_model(const celslm_model *like) {
  celslm_model m = *like;
  m.layers = CELSLM_WHOLE_LAYERS;
  if (m.vocabulary > CELSLM_WHOLE_VOCABULARY) m.vocabulary = CELSLM_WHOLE_VOCABULARY;
  m.hidden = m.heads * m.head_dim; /* what the transformer can be */
  m.gated = true;
  return m;
}

static bool prepare(celslm_whole *w, const celslm_model *like) {
  celslm_model m = celslm_whole_model(like);
  const celslm_transformer_shape shape = {.family = CELSLM_FAMILY_LLAMA,
                                          .layers = (int)m.layers,
                                          .dim = (int)m.hidden,
                                          .hidden = (int)m.ffn,
                                          .q_heads = (int)m.heads,
                                          .kv_heads = (int)m.kv_heads,
                                          .vocabulary = (int)m.vocabulary,
                                          .max_tokens = 4096,
                                          .eps = 1e-6f,
                                          .rope_base = 1e6,
                                          .rope_style = CELSLM_ROPE_HALF};
  w->model = celslm_transformer_random(&shape, CELSLM_K_F32, 1);
  w->tiny = celslm_operands_matrix(w->operands, 64, 64);
  w->tokens = celslm_alloc(1024, sizeof *w->tokens);
  w->logits = celslm_alloc((unsigned long)(MOST_SEQUENCES * m.vocabulary) + 512, sizeof *w->logits);
  for (int i = 0; i < 1024; i++) w->tokens[i] = (int32_t)(i * 37 % m.vocabulary);
  if (!w->model || !w->tiny) return false;
  for (int i = 0; i < CELSLM_WHOLE_CASES; i++)
    for (int64_t j = 0; w->cases[i].decode && j < w->cases[i].tokens; j++) {
      int64_t past = w->cases[i].past;
      celslm_session *s = w->sessions[i][j] = celslm_session_create(
          w->model, CELSLM_K_F32, past + CELSLM_TRIES * (CELSLM_MOST_TIMES + 1), NULL);
      if (!s) return false;
      celslm_transformer_forward(w->model, 1, &s, &past, w->tokens, w->logits);
    }
  return true;
}

celslm_whole *celslm_whole_new(const celslm_model *like,
                               celslm_whole_case cases[CELSLM_WHOLE_CASES],
                               celslm_operands *operands, celslm_error *err) {
  static const celslm_whole_case what[CELSLM_WHOLE_CASES] = {
      {.decode = true, .tokens = 1, .past = 128},
      {.decode = true, .tokens = 1, .past = 512},
      {.decode = true, .tokens = MOST_SEQUENCES, .past = 128},
      {.tokens = 32},
      {.tokens = 128},
      {.tokens = 256}};
  celslm_whole *w = celslm_alloc(1, sizeof *w);
  *w = (celslm_whole){.cases = cases, .operands = operands, .repeats = -1};
  for (int i = 0; i < CELSLM_WHOLE_CASES; i++) cases[i] = what[i];
  if (prepare(w, like)) return w;
  celslm_fail(err, NULL, 0,
              "no small model can be made of the sizes of the model that is checked, or not enough "
              "memory; give another one first (--model)");
  celslm_whole_free(w);
  return NULL;
}

static double time_once(void *self, int i, bool *worthless) {
  celslm_whole *w = self;
  static const int64_t one[MOST_SEQUENCES] = {1, 1, 1, 1, 1, 1, 1, 1};
  const celslm_whole_case *c = &w->cases[i];
  celslm_session *fresh =
      c->decode ? NULL : celslm_session_create(w->model, CELSLM_K_F32, c->tokens, NULL);
  if (!c->decode && !fresh) return INFINITY;
  celslm_operands_cool(w->operands, w->operands->touched); /* the weights and all caches */
  celslm_gemm(w->tiny, 8, w->operands->random, 64, w->logits, 64, NULL);
  celslm_watch watch = celslm_watch_start();
  if (c->decode)
    celslm_transformer_forward(w->model, c->tokens, w->sessions[i], one, w->tokens, w->logits);
  else
    celslm_transformer_forward(w->model, 1, &fresh, &c->tokens, w->tokens, w->logits);
  double seconds = celslm_watch_stop(&watch, celslm_threads_get(), worthless);
  if (fresh) celslm_session_free(fresh);
  return seconds;
}

void celslm_whole_round(celslm_whole *w) {
  if (w->repeats == CELSLM_MOST_REPEATS) return;
  for (int i = 0; i < CELSLM_WHOLE_CASES; i++)
    if (w->repeats < 0)
      celslm_measure_best(time_once, w, i);
    else
      w->taken[i] += celslm_measure_several(time_once, w, i, w->times[i] + w->taken[i]);
  w->repeats++;
}

void celslm_whole_finish(celslm_whole *w) {
  for (int i = 0; i < CELSLM_WHOLE_CASES; i++)
    w->cases[i].seconds = celslm_middle_spread(w->times[i], w->taken[i], &w->cases[i].spread);
}

void celslm_whole_free(celslm_whole *w) {
  if (!w) return;
  for (int i = 0; i < CELSLM_WHOLE_CASES; i++)
    for (int j = 0; j < MOST_SEQUENCES; j++)
      if (w->sessions[i][j]) celslm_session_free(w->sessions[i][j]);
  celslm_transformer_free(w->model);
  celslm_packed_free(w->tiny);
  free(w->tokens);
  free(w->logits);
  free(w);
}
