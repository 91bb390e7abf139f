/* execute.h - the tokens that a simulated request really yields: <scenario compute="execute">.
 *
 * What tokens a request gets depends on its model, its context and how that came to be where it is
 * served, not on when its engine computes them or with what else in the batch: greedy decoding
 * gives the same tokens in any batch. So the simulation keeps the time, as ever, and each finished
 * request is then run through the kernels: prefill of its prompt, on a context that the same model
 * prefilled or that was mapped from the cloud's through the strategy's codec, and its output token
 * by token.
 *
 * Tokens are bytes. Contexts are cut from the scenario's text one after the other from its start,
 * prompts from what follows them, each by its request's number. */
#ifndef CELSLM_SHARE_EXECUTE_H
#define CELSLM_SHARE_EXECUTE_H

#include "scenario/scenario.h"
#include "share/mapping.h"
#include "share/wire.h"

typedef struct celslm_execution celslm_execution;

/* Loads the models' checkpoints, the text and the map. NULL on failure. */
celslm_execution *celslm_execution_open(const celslm_scenario *s, celslm_error *err);
void celslm_execution_close(celslm_execution *x); /* NULL is allowed */

typedef struct celslm_execution_request {
  int model;   /* in the scenario: of the engine that serves */
  int from;    /* the model whose KV of the context was fetched; -1: none was, or its own */
  int context; /* -1: none */
  celslm_wire_codec codec;
  uint32_t id;
  int prompt, output; /* tokens */
} celslm_execution_request;

typedef struct celslm_executed {
  char *prompt, *text;  /* NUL-terminated; bytes that cannot be printed as '?' */
  double context_bytes; /* that the context's KV really had on its way; 0: it did not travel */
} celslm_executed;

bool celslm_execute(celslm_execution *x, const celslm_execution_request *r, celslm_executed *out,
                    celslm_error *err);
void celslm_executed_free(celslm_executed *e);

#endif
