#include "serve/waiting.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const celslm_policy *const celslm_policies[] = {
    &celslm_policy_fcfs,     &celslm_policy_shortest_job, &celslm_policy_priority,
    &celslm_policy_deadline, &celslm_policy_fair,         NULL,
};

const celslm_policy *celslm_policy_find(const char *name) {
  for (int i = 0; celslm_policies[i]; i++)
    if (strcmp(celslm_policies[i]->name, name) == 0) return celslm_policies[i];
  return NULL;
}

/* Service is counted in whole units of 2^-20 weighted tokens: who has had least must not depend on
 * how sums are grouped. */
typedef __int128 service_units;

static service_units units(double weight, int64_t tokens) {
  return (service_units)llround(weight * 0x1p20) * tokens;
}

/* A tenant's service: `served` as of decode step `since`, `decoding` jobs getting a token a step.
 */
struct celslm_tenant {
  celslm_job *first, *last;
  service_units served;
  int64_t since, decoding;
};

bool celslm_waiting_init(celslm_waiting *q, const celslm_element *scheduler, celslm_error *err) {
  *q = (celslm_waiting){.policy = celslm_policies[0], .left_last = -1};
  if (!scheduler) return true;
  q->policy = celslm_policy_find(scheduler->name);
  if (!q->policy)
    return celslm_element_fail(
        scheduler, err, "no scheduler is called %s; see `celslm list schedulers`", scheduler->name);
  q->weights = q->policy->weights;
  return celslm_element_quantity(scheduler, "prompt_weight", CELSLM_UNIT_NUMBER, 0, 1e6,
                                 q->weights.prompt, &q->weights.prompt, err) &&
         celslm_element_quantity(scheduler, "output_weight", CELSLM_UNIT_NUMBER, 0, 1e6,
                                 q->weights.output, &q->weights.output, err);
}

void celslm_waiting_clear(celslm_waiting *q) {
  free(q->heap);
  free(q->tenants);
  *q = (celslm_waiting){0};
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void put_last(celslm_job **first, celslm_job **last, celslm_job *j) {
  j->before = *last;
  j->after = NULL;
  *(*last ? &(*last)->after : first) = j;
  *last = j;
}

static void put_first(celslm_job **first, celslm_job **last, celslm_job *j) {
  j->after = *first;
  j->before = NULL;
  *(*first ? &(*first)->before : last) = j;
  *first = j;
}

static void take_out(celslm_job **first, celslm_job **last, celslm_job *j) {
  *(j->before ? &j->before->after : first) = j->after;
  *(j->after ? &j->after->before : last) = j->before;
}

/* ---- the heap -------------------------------------------------------------------------------- */

bool celslm_waiting_after(const celslm_job *a, const celslm_job *b) {
  return a->urgency != b->urgency ? a->urgency > b->urgency : a->arrived > b->arrived;
}

static void place(celslm_waiting *q, int64_t at, celslm_job *j) {
  q->heap[at] = j;
  j->slot = (uint32_t)at;
}

static void rise(celslm_waiting *q, int64_t at, celslm_job *j) {
  for (; at > 0 && celslm_waiting_after(q->heap[(at - 1) / 2], j); at = (at - 1) / 2)
    place(q, at, q->heap[(at - 1) / 2]);
  place(q, at, j);
}

static void sink(celslm_waiting *q, int64_t at, celslm_job *j) {
  for (int64_t child; (child = 2 * at + 1) < q->n; at = child) {
    if (child + 1 < q->n && celslm_waiting_after(q->heap[child], q->heap[child + 1])) child++;
    if (!celslm_waiting_after(j, q->heap[child])) break;
    place(q, at, q->heap[child]);
  }
  place(q, at, j);
}

static void push(celslm_waiting *q, celslm_job *j) {
  if (q->n == q->room) {
    q->room = q->room ? 2 * q->room : 64;
    q->heap = celslm_realloc(q->heap, (unsigned long)q->room, sizeof *q->heap);
  }
  rise(q, q->n++, j);
}

static void pull(celslm_waiting *q, celslm_job *j) {
  int64_t at = j->slot;
  celslm_job *last = q->heap[--q->n];
  if (last == j) return;
  if (at > 0 && celslm_waiting_after(q->heap[(at - 1) / 2], last))
    rise(q, at, last);
  else
    sink(q, at, last);
}

/* ---- tenants --------------------------------------------------------------------------------- */

static celslm_tenant *tenant_of(celslm_waiting *q, const celslm_job *j) {
  if (j->tenant >= q->n_tenants) {
    int n = j->tenant + 1;
    q->tenants = celslm_realloc(q->tenants, (unsigned long)n, sizeof *q->tenants);
    memset(q->tenants + q->n_tenants, 0, (size_t)(n - q->n_tenants) * sizeof *q->tenants);
    q->n_tenants = n;
  }
  return &q->tenants[j->tenant];
}

static service_units service(const celslm_waiting *q, const celslm_tenant *t, int64_t step) {
  return t->served + units(q->weights.output, t->decoding * (step - t->since));
}

static const celslm_tenant *least_served(const celslm_waiting *q, int64_t step) {
  const celslm_tenant *least = NULL;
  for (int i = 0; i < q->n_tenants; i++) {
    const celslm_tenant *t = &q->tenants[i];
    if (t->first && (!least || service(q, t, step) < service(q, least, step))) least = t;
  }
  return least;
}

/* Who comes back after a pause has no credit from it (Sheng et al., algorithm 2). */
static void lift(celslm_waiting *q, celslm_tenant *t, int64_t step) {
  const celslm_tenant *level = least_served(q, step);
  if (!level && q->left_last >= 0) level = &q->tenants[q->left_last];
  if (!level || t->first) return;
  service_units least = service(q, level, step), own = service(q, t, step);
  if (least > own) t->served += least - own;
}

void celslm_waiting_decodes(celslm_waiting *q, const celslm_job *j, int64_t step, int sign) {
  if (!q->policy->by_tenant) return;
  celslm_tenant *t = tenant_of(q, j);
  t->served = service(q, t, step);
  t->since = step;
  t->decoding += sign;
}

void celslm_waiting_token(celslm_waiting *q, const celslm_job *j) {
  if (q->policy->by_tenant) tenant_of(q, j)->served += units(q->weights.output, 1);
}

int64_t celslm_waiting_steady(const celslm_waiting *q, int64_t step, int64_t most) {
  if (!q->policy->by_tenant || !q->n) return most;
  const celslm_tenant *next = least_served(q, step);
  for (int i = 0; i < q->n_tenants; i++) {
    const celslm_tenant *t = &q->tenants[i];
    if (!t->first || t->decoding >= next->decoding) continue;
    service_units gap = service(q, t, step) - service(q, next, step);
    service_units closing = units(q->weights.output, next->decoding - t->decoding);
    if (closing > 0 && gap / closing < most) most = gap < closing ? 1 : (int64_t)(gap / closing);
  }
  return most;
}

/* ---- the outside ----------------------------------------------------------------------------- */

void celslm_waiting_add(celslm_waiting *q, celslm_job *j, int64_t step) {
  j->arrived = ++q->arrivals;
  j->urgency = q->policy->urgency ? q->policy->urgency(j, &q->weights) : 0;
  if (q->policy->by_tenant) {
    celslm_tenant *t = tenant_of(q, j);
    lift(q, t, step);
    put_last(&t->first, &t->last, j);
    q->n++;
  } else if (q->policy->urgency) {
    push(q, j);
  } else {
    put_last(&q->first, &q->last, j);
    q->n++;
  }
}

void celslm_waiting_return(celslm_waiting *q, celslm_job *j) {
  if (q->policy->by_tenant) {
    celslm_tenant *t = tenant_of(q, j);
    put_first(&t->first, &t->last, j);
    q->n++;
  } else if (q->policy->urgency) {
    push(q, j);
  } else {
    put_first(&q->first, &q->last, j);
    q->n++;
  }
}

static __int128 waited(const celslm_job *j, celslm_ns now) {
  __int128 sum = 0;
  for (; j; j = j->after) sum += now - j->queued;
  return sum;
}

__int128 celslm_waiting_waited(const celslm_waiting *q, celslm_ns now) {
  __int128 sum = waited(q->first, now);
  for (int i = 0; i < q->n_tenants; i++) sum += waited(q->tenants[i].first, now);
  if (q->policy->urgency)
    for (int64_t i = 0; i < q->n; i++) sum += now - q->heap[i]->queued;
  return sum;
}

celslm_job *celslm_waiting_next(const celslm_waiting *q, int64_t step) {
  if (!q->n) return NULL;
  if (q->policy->by_tenant) return least_served(q, step)->first;
  return q->policy->urgency ? q->heap[0] : q->first;
}

/* Who is next has waited long: its memory is cold, and will be wanted in the next iteration. */
static void warm(const celslm_job *next) {
  if (next)
    for (size_t at = 0; at < sizeof *next; at += 64) __builtin_prefetch((const char *)next + at);
}

void celslm_waiting_remove(celslm_waiting *q, celslm_job *j, int64_t step) {
  celslm_waiting_withdraw(q, j);
  if (!q->policy->by_tenant || j->scheduled >= 0) return; /* its prompt is charged once */
  celslm_tenant *t = tenant_of(q, j);
  t->served = service(q, t, step) + units(q->weights.prompt, j->prompt);
  t->since = step;
}

void celslm_waiting_reset(celslm_waiting *q) {
  free(q->tenants);
  q->tenants = NULL;
  q->n_tenants = 0;
  q->left_last = -1;
  q->first = q->last = NULL;
  q->n = 0;
}

void celslm_waiting_withdraw(celslm_waiting *q, celslm_job *j) {
  if (q->policy->by_tenant) {
    celslm_tenant *t = tenant_of(q, j);
    take_out(&t->first, &t->last, j);
    if (!t->first) q->left_last = j->tenant;
    q->n--;
  } else if (q->policy->urgency) {
    pull(q, j);
  } else {
    take_out(&q->first, &q->last, j);
    q->n--;
    warm(q->first);
  }
}
