/* waiting.h - who waits at an engine, and who is next.
 *
 * A policy is one small file behind the table below: it gives each job an urgency when it queues
 * (lower goes first; ties by arrival), or shares an engine fairly between tenants by the service
 * they have had. A preempted job goes back to where it came from: before all that arrived later
 * with the same urgency. */
#ifndef CELSLM_SERVE_WAITING_H
#define CELSLM_SERVE_WAITING_H

#include "scenario/element.h"
#include "serve/engine.h"

/* How much a token of each kind counts, where a policy counts tokens. */
typedef struct celslm_token_weights {
  double prompt, output;
} celslm_token_weights;

typedef struct celslm_policy {
  const char *name;    /* the child of <scheduler> */
  const char *summary; /* one line for `celslm list schedulers` */
  const char *source;
  celslm_token_weights weights; /* unless the scenario says otherwise; 0, 0: it counts none */
  /* NULL: all alike. Asked once, when the job queues. */
  double (*urgency)(const celslm_job *j, const celslm_token_weights *w);
  bool by_tenant;           /* the tenant that has had the least service goes first */
  bool preempts_by_urgency; /* a missing block is taken from the least urgent, not from the one
                               admitted last */
} celslm_policy;

extern const celslm_policy *const celslm_policies[]; /* NULL-terminated; the first is the default */
const celslm_policy *celslm_policy_find(const char *name);

typedef struct celslm_tenant celslm_tenant;

typedef struct celslm_waiting {
  const celslm_policy *policy;
  celslm_token_weights weights;
  int64_t n;
  uint64_t arrivals;
  celslm_job *first, *last; /* without urgency: a list */
  celslm_job **heap;        /* with: on (urgency, arrival) */
  int64_t room;
  celslm_tenant *tenants; /* by_tenant: a list each */
  int n_tenants, left_last;
} celslm_waiting;

/* `scheduler`: the child of <scheduler>; NULL: first come, first served. */
bool celslm_waiting_init(celslm_waiting *q, const celslm_element *scheduler, celslm_error *err);
void celslm_waiting_clear(celslm_waiting *q);

void celslm_waiting_add(celslm_waiting *q, celslm_job *j, int64_t step); /* new */
void celslm_waiting_return(celslm_waiting *q, celslm_job *j);            /* preempted */
/* `step`: decode steps done so far, for the service that decoding gives. */
celslm_job *celslm_waiting_next(const celslm_waiting *q, int64_t step);     /* NULL: nobody waits */
void celslm_waiting_remove(celslm_waiting *q, celslm_job *j, int64_t step); /* `j` is the next */
/* Takes back a job that will not be served. */
void celslm_waiting_withdraw(celslm_waiting *q, celslm_job *j);
/* Nobody waits any more, and no tenant has had any service. */
void celslm_waiting_reset(celslm_waiting *q);
/* ns that those waiting have been here: for Little's law. */
__int128 celslm_waiting_waited(const celslm_waiting *q, celslm_ns now);
/* Whether a comes after b by urgency and arrival. */
bool celslm_waiting_after(const celslm_job *a, const celslm_job *b);

/* A tenant's job begins (sign 1) or ends (-1) to get a token per decode step. */
void celslm_waiting_decodes(celslm_waiting *q, const celslm_job *j, int64_t step, int sign);
/* A prefill of the job gave a token. */
void celslm_waiting_token(celslm_waiting *q, const celslm_job *j);
/* The decode steps from now for which the next one stays the next, at least 1. */
int64_t celslm_waiting_steady(const celslm_waiting *q, int64_t step, int64_t most);

extern const celslm_policy celslm_policy_fcfs, celslm_policy_shortest_job, celslm_policy_priority,
    celslm_policy_deadline, celslm_policy_fair;

#endif
