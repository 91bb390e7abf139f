/* reference_queue.h - the structs of the reference scheduler (reference.h), and who waits in it.
 *
 * Policies: first come, first served; urgency (the lowest number first, then the earliest), where
 * the number is the job's length, its class or its deadline; fair: the virtual token counter of
 * Sheng et al., arXiv 2401.00588, algorithm 2, where counters grow by prompt_weight x prompt when a
 * request is first admitted and by output_weight for every token that it is given.
 * A request that was preempted goes before all others of its kind (fcfs, fair), or where its
 * urgency puts it.
 *
 * Admission limits: requests that can never have all their tokens in the blocks, or are longer than
 * max_len, or find max_queue others waiting, are turned away. The rate limit is a bucket of tokens:
 * it fills by one per interval, up to `burst`, and a request takes one; who finds none waits, in
 * order, before the queue, or is turned away. */
#ifndef CELSLM_TESTS_SERVE_REFERENCE_QUEUE_H
#define CELSLM_TESTS_SERVE_REFERENCE_QUEUE_H

#include "reference_blocks.h"

#include <math.h>

enum { REFERENCE_TENANTS = 8 };

/* In the order of `celslm list schedulers`. */
typedef enum reference_policy {
  REFERENCE_FCFS,
  REFERENCE_SHORTEST,
  REFERENCE_PRIORITY,
  REFERENCE_DEADLINE,
  REFERENCE_FAIR,
  REFERENCE_POLICIES
} reference_policy;

/* A request may go on after its last token: `pause` later its last `drop` tokens with KV are taken
 * back, `tokens` are appended, and it gets `output` more. */
typedef struct reference_round {
  int64_t pause; /* ns, > 0 */
  int drop, tokens, output;
} reference_round;

enum { REFERENCE_ROUNDS = 8 };

typedef struct reference_request {
  /* the caller's */
  int64_t queued;     /* ns */
  int prompt, output; /* output 0: no token is wanted */
  int tenant, priority, predicted;
  int64_t deadline; /* ns; 0: none */
  bool given;
  reference_round rounds[REFERENCE_ROUNDS];
  int n_rounds;
  const int64_t *contents; /* of its blocks: names > 0; 0, and from n_contents on: its own */
  int n_contents;
  /* its state */
  double urgency;
  int place;     /* running number in the queue */
  int generated; /* tokens it got */
  int computed;  /* tokens with KV */
  int chunk;     /* tokens computed in this iteration */
  bool prefills; /* its prompt is being computed, for the first time or again */
  reference_block **table;
  int n_table;
  int round;    /* next one */
  int past;     /* tokens that it goes on over, while it waits for that */
  bool idle;    /* does not run, but has blocks: they may be taken */
  int64_t back; /* ns: it goes on; -1: not to */
  int64_t came[REFERENCE_ROUNDS + 1], went[REFERENCE_ROUNDS + 1]; /* ns, by round */
  /* what became of it */
  bool rejected, started;
  int64_t scheduled, first, last; /* ns; -1: never */
  int64_t stayed;                 /* ns in the engine, in all rounds */
  int64_t gone, longest, compute; /* ns: when it left; between two tokens; of its prefills */
  int preemptions, cached;
} reference_request;

typedef struct reference_iteration {
  int64_t formed, end; /* ns; it begins when swapped KV has been moved */
  int decodes, prefill_tokens;
  int running, blocks; /* requests and blocks in use while it lasts */
  uint64_t members;    /* who with how many tokens */
} reference_iteration;

typedef struct reference {
  /* the caller's */
  int budget, seqs, block_size, n_blocks;
  int64_t duration; /* ns of an iteration */
  reference_policy policy;
  double prompt_weight, output_weight;
  bool caching, chunks;
  int reserve; /* blocks */
  int swap_blocks;
  int64_t move_time, move_latency; /* ns per block; per move */
  int max_len, max_queue;          /* 0: no limit */
  int64_t rate_interval;           /* ns; 0: no limit */
  int rate_burst;
  bool rate_rejects;
  reference_request *requests; /* in order of `queued` */
  int n_requests;
  /* its state */
  reference_blocks blocks;
  reference_request **running, **waiting, **swapped, **held, **idle;
  int n_running, n_waiting, n_swapped, n_held, n_idle, arrived, ended, places;
  double served[REFERENCE_TENANTS];
  int left_last;
  int swap_room, moved_out, moved_in;
  int64_t bucket, bucket_at; /* ns */
  /* what happened */
  reference_iteration *iterations;
  int n_iterations, preemptions, swaps;
  struct {
    int64_t time;
    int blocks; /* in use from then on */
  } * used;
  int n_used;
  int64_t asked, found;
  int raced; /* answers said elsewhere while they are generated: no load has that (prefix.h), and
                the engine, which makes blocks known when somebody asks, may see other twins */
  /* how often the rules that are easily missed were met: the tests count them */
  int found_own, urgent, ended_early, began_again, reserved, chunked, lifted, went_on, taken,
      shortened, refused;
} reference;

static inline int reference_tokens(const reference_request *q) {
  return q->prompt + q->generated;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static inline void reference_insert(reference_request **list, int *n, int at,
                                    reference_request *q) {
  memmove(list + at + 1, list + at, (size_t)((*n)++ - at) * sizeof(reference_request *));
  list[at] = q;
}

static inline void reference_take(reference_request **list, int *n, int at) {
  memmove(list + at, list + at + 1, (size_t)(--*n - at) * sizeof(reference_request *));
}

/* ---- who is next ----------------------------------------------------------------------------- */

static inline bool reference_by_urgency(const reference *r) {
  return r->policy == REFERENCE_PRIORITY || r->policy == REFERENCE_DEADLINE;
}

static inline double reference_urgency(const reference *r, const reference_request *q) {
  switch (r->policy) {
  case REFERENCE_SHORTEST:
    return r->prompt_weight * q->prompt + r->output_weight * q->predicted;
  case REFERENCE_PRIORITY:
    return q->priority;
  case REFERENCE_DEADLINE:
    return q->deadline ? (double)q->deadline : INFINITY;
  default:
    return 0;
  }
}

static inline bool reference_less_urgent(const reference_request *a, const reference_request *b) {
  if (a->urgency > b->urgency) return true;
  return !(a->urgency < b->urgency) && a->place > b->place;
}

static inline bool reference_waits(const reference *r, int tenant) {
  for (int i = 0; i < r->n_waiting; i++)
    if (r->waiting[i]->tenant == tenant) return true;
  return false;
}

/* Among those with somebody waiting; -1: none. */
static inline int reference_least_served(const reference *r) {
  int least = -1;
  for (int t = 0; t < REFERENCE_TENANTS; t++)
    if (reference_waits(r, t) && (least < 0 || r->served[t] < r->served[least])) least = t;
  return least;
}

/* Its place in `waiting`. */
static inline int reference_next(const reference *r) {
  int next = 0;
  if (r->policy == REFERENCE_FAIR) {
    int tenant = reference_least_served(r);
    while (r->waiting[next]->tenant != tenant) next++;
  } else if (r->policy != REFERENCE_FCFS) {
    for (int i = 1; i < r->n_waiting; i++)
      if (reference_less_urgent(r->waiting[next], r->waiting[i])) next = i;
  }
  return next;
}

static inline void reference_leave_queue(reference *r, int at) {
  reference_request *q = r->waiting[at];
  reference_take(r->waiting, &r->n_waiting, at);
  if (!reference_waits(r, q->tenant)) r->left_last = q->tenant;
  if (!q->started) r->served[q->tenant] += r->prompt_weight * q->prompt;
}

/* ---- arrivals -------------------------------------------------------------------------------- */

static inline void reference_enqueue(reference *r, reference_request *q) {
  q->place = ++r->places;
  q->urgency = reference_urgency(r, q);
  if (!reference_waits(r, q->tenant)) {
    int level = r->n_waiting ? reference_least_served(r) : r->left_last;
    if (level >= 0 && r->served[level] > r->served[q->tenant]) {
      r->served[q->tenant] = r->served[level];
      r->lifted++;
    }
  }
  reference_insert(r->waiting, &r->n_waiting, r->n_waiting, q);
}

static inline bool reference_takes_token(reference *r, int64_t now) {
  if (!r->rate_interval) return true;
  r->bucket += now - r->bucket_at;
  r->bucket_at = now;
  int64_t most = r->rate_burst * r->rate_interval;
  if (r->bucket > most) r->bucket = most;
  if (r->bucket < r->rate_interval) return false;
  r->bucket -= r->rate_interval;
  return true;
}

static inline bool reference_fits(const reference *r, const reference_request *q) {
  int kv = q->output > 0 ? q->prompt + q->output - 1 : q->prompt; /* the last token needs none */
  return (kv + r->block_size - 1) / r->block_size <= r->n_blocks &&
         (!r->max_len || q->prompt + q->output <= r->max_len);
}

/* For samples: what is in use after whatever has just happened. */
static inline void reference_log(reference *r, int64_t now) {
  r->used = realloc(r->used, (size_t)(r->n_used + 1) * sizeof *r->used);
  REFERENCE_MUST(r->used);
  r->used[r->n_used].time = now;
  r->used[r->n_used++].blocks = r->blocks.n - r->blocks.n_free;
}

static inline void reference_go_on(reference *r, reference_request *q, int64_t now);

static inline void reference_arrive(reference *r, reference_request *q) {
  r->arrived++;
  bool full = r->max_queue && r->n_waiting + r->n_held >= r->max_queue;
  bool fits = reference_fits(r, q) && !full;
  bool now = fits && !r->n_held && reference_takes_token(r, q->queued);
  q->rejected = !fits || (!now && r->rate_rejects);
  q->came[0] = q->queued;
  if (q->rejected) {
    q->gone = q->went[0] = q->queued;
    r->ended++;
    return;
  }
  if (q->given) {
    q->generated = 1;
    q->first = q->last = q->queued;
  }
  if (now)
    reference_enqueue(r, q);
  else
    reference_insert(r->held, &r->n_held, r->n_held, q);
}

static inline int64_t reference_next_release(const reference *r) {
  return r->n_held ? r->bucket_at + (r->rate_interval - r->bucket) : INT64_MAX;
}

static inline int64_t reference_next_arrival(const reference *r) {
  return r->arrived < r->n_requests ? r->requests[r->arrived].queued : INT64_MAX;
}

/* Who goes on next; NULL: nobody is known to. */
static inline reference_request *reference_next_back(const reference *r) {
  reference_request *next = NULL;
  for (int i = 0; i < r->n_requests; i++) {
    reference_request *q = &r->requests[i];
    if (q->back >= 0 && (!next || q->back < next->back)) next = q;
  }
  return next;
}

static inline int64_t reference_next_coming(const reference *r) {
  int64_t release = reference_next_release(r), arrival = reference_next_arrival(r);
  const reference_request *back = reference_next_back(r);
  if (back && back->back < arrival) arrival = back->back;
  return release < arrival ? release : arrival;
}

/* Whoever comes until now, in order; those held back before those that arrive at that instant, and
 * these before those that go on. */
static inline void reference_come(reference *r, int64_t now) {
  for (int64_t time; (time = reference_next_coming(r)) <= now;) {
    if (time < reference_next_release(r)) {
      if (time == reference_next_arrival(r))
        reference_arrive(r, &r->requests[r->arrived]);
      else
        reference_go_on(r, reference_next_back(r), time);
      continue;
    }
    reference_request *q = r->held[0];
    bool token = reference_takes_token(r, time);
    REFERENCE_MUST(token);
    reference_take(r->held, &r->n_held, 0);
    reference_enqueue(r, q);
  }
}

#endif
