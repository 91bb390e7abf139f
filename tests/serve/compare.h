/* compare.h - what was seen of an engine (drive.h) against the reference scheduler (reference.h):
 * iteration by iteration, request by request, sample by sample. */
#ifndef CELSLM_TESTS_SERVE_COMPARE_H
#define CELSLM_TESTS_SERVE_COMPARE_H

#include "drive.h"

/* ---- names of contents ----------------------------------------------------------------------- */

/* How many tokens have to be equal for two requests to share the block that ends after `end`: whole
 * hash blocks, the last one of a sequence may be shorter (serve/prefix.h). 0: unknown. */
static inline int tokens_named(const load *l, const demand *m, int end) {
  int whole = (end + l->hash_block - 1) / l->hash_block * l->hash_block;
  return end > m->known ? 0 : whole < m->known ? whole : m->known;
}

/* The name of request q's i-th block: that of the first one with the same content. Compares tokens,
 * knows of no hash. */
static inline int64_t name_of(const load *l, int q, int i) {
  const demand *mine = &l->demands[q];
  int end = mine->skip + (i + 1) * l->block_size, tokens = tokens_named(l, mine, end);
  if (!tokens) return 0;
  int first = 0;
  for (;; first++) {
    const demand *other = &l->demands[first];
    if (tokens_named(l, other, end) == tokens &&
        memcmp(other->tokens, mine->tokens, (size_t)tokens * sizeof(int)) == 0)
      break;
  }
  return (int64_t)end << 32 | (first + 1);
}

/* What the engine was asked for, as it saw it; NULL: as it is going to see it. */
static inline reference reference_of(const load *l, const observed *o) {
  reference r = {.budget = l->budget,
                 .seqs = l->seqs,
                 .block_size = l->block_size,
                 .n_blocks = l->blocks,
                 .duration = l->duration,
                 .policy = l->policy,
                 .prompt_weight = l->prompt_weight,
                 .output_weight = l->output_weight,
                 .caching = l->caching,
                 .chunks = l->chunks,
                 .reserve = (l->watermark * l->blocks + 7) / 8,
                 .swap_blocks = l->swap_blocks,
                 .move_time = 1000 * l->block_size, /* tests/data/swap.xml */
                 .move_latency = 3000,
                 .max_len = l->max_len,
                 .max_queue = l->max_queue,
                 .rate_interval = l->rate ? 1000000000 / l->rate : 0,
                 .rate_burst = l->rate_burst,
                 .rate_rejects = l->rate_rejects,
                 .n_requests = l->n};
  r.requests = celslm_alloc((unsigned long)r.n_requests, sizeof *r.requests);
  for (int i = 0; i < r.n_requests; i++) {
    reference_request *q = &r.requests[i];
    *q = (reference_request){.queued = (o ? o->requests[i].queued : l->times[i]) + l->overhead,
                             .prompt = l->prompts[i],
                             .output = l->outputs[i]};
    if (!l->demands) continue;
    const demand *m = &l->demands[i];
    q->tenant = m->tenant;
    q->priority = m->priority;
    q->predicted = m->predicted;
    q->deadline = m->deadline;
    q->given = m->given;
    q->n_rounds = m->n_rounds;
    memcpy(q->rounds, m->rounds, sizeof q->rounds);
    int n = m->known > m->skip ? (m->known - m->skip) / l->block_size : 0;
    int64_t *names = celslm_alloc((unsigned long)n, sizeof *names);
    for (int k = 0; k < n; k++) names[k] = name_of(l, i, k);
    q->contents = names;
    q->n_contents = n;
  }
  return r;
}

static inline void forget_reference(reference *r) {
  reference_free(r);
  for (int i = 0; i < r->n_requests; i++) free((void *)r->requests[i].contents);
  free(r->requests);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static inline double ms(int64_t ns) {
  return (double)ns * 1e-6;
}

static inline void same_iterations(const reference *r, const observed *o, const char *which) {
  for (int i = 0; i < r->n_iterations && i < o->n_iterations; i++) {
    const reference_iteration *want = &r->iterations[i];
    const observed_iteration *it = &o->iterations[i];
    ck_assert_msg(it->end == want->end && it->duration == r->duration &&
                      it->decodes == want->decodes && it->prefill_tokens == want->prefill_tokens,
                  "%s, iteration %d: ends at %.6f ms with %d decodes and %d prompt tokens; the "
                  "reference: %.6f ms, %d and %d",
                  which, i, ms(it->end), it->decodes, it->prefill_tokens, ms(want->end),
                  want->decodes, want->prefill_tokens);
    ck_assert_msg(it->members == want->members || !it->members,
                  "%s, iteration %d, to %.6f ms: as many as in the reference, but others", which, i,
                  ms(it->end));
  }
  ck_assert_msg(o->n_iterations == r->n_iterations, "%s: %d iterations, the reference has %d",
                which, o->n_iterations, r->n_iterations);
  ck_assert_int_eq(o->iterations_counted, r->n_iterations);
}

static inline void same_requests(const load *l, const reference *r, const observed *o,
                                 const char *which) {
  ck_assert_int_eq(o->n, l->n);
  for (int i = 0; i < o->n; i++) {
    const observed_request *q = &o->requests[i];
    const reference_request *want = &r->requests[i];
    ck_assert_msg(q->queued == l->times[i] && q->prompt == l->prompts[i] &&
                      q->output == l->outputs[i],
                  "%s: request %d is not the one that was sent", which, i);
    ck_assert_msg(q->rejected == want->rejected,
                  "%s, request %d (prompt %d, output %d): rejected %d, the reference: %d", which, i,
                  q->prompt, q->output, q->rejected, want->rejected);
    if (q->rejected) continue;
    ck_assert_msg(
        q->scheduled == want->scheduled && q->first == want->first && q->last == want->last &&
            q->preemptions == want->preemptions,
        "%s, request %d (prompt %d, output %d): scheduled %.6f ms, first %.6f, last %.6f, "
        "preempted %d times; the reference: %.6f, %.6f, %.6f and %d",
        which, i, q->prompt, q->output, ms(q->scheduled), ms(q->first), ms(q->last), q->preemptions,
        ms(want->scheduled), ms(want->first), ms(want->last), want->preemptions);
  }
}

/* What only an engine by itself tells: tokens found in the cache, the longest gap between two
 * tokens, time in prefills; its counts; Little's law. */
static inline void same_details(const reference *r, const observed *o, const char *which) {
  __int128 sojourns = 0;
  for (int i = 0; i < o->n; i++) {
    const observed_request *q = &o->requests[i];
    const reference_request *want = &r->requests[i];
    if (q->rejected) continue;
    ck_assert_msg(q->cached == want->cached, "%s, request %d: %d tokens cached, the reference: %d",
                  which, i, q->cached, want->cached);
    ck_assert_msg(q->longest == want->longest,
                  "%s, request %d: %.6f ms between two tokens, the reference: %.6f", which, i,
                  ms(q->longest), ms(want->longest));
    ck_assert_msg(q->compute == want->compute, "%s, request %d: prefills %.6f ms, not %.6f", which,
                  i, ms(q->compute), ms(want->compute));
    sojourns += want->stayed;
  }
  ck_assert_msg(o->cache.asked == r->asked && o->cache.found == r->found,
                "%s: %lld of %lld prompt tokens found, the reference: %lld of %lld", which,
                (long long)o->cache.found, (long long)o->cache.asked, (long long)r->found,
                (long long)r->asked);
  ck_assert_int_eq(o->cache.swaps_out, r->swaps);
  ck_assert_int_eq(o->cache.swaps_in, r->swaps);
  ck_assert_msg(o->little.integral == sojourns && o->little.sojourns == sojourns,
                "%s: Little's law: integral %lld, sojourns %lld, the reference: %lld", which,
                (long long)o->little.integral, (long long)o->little.sojourns, (long long)sojourns);
}

/* Running and waiting requests and blocks in use at every sample. A sample at the instant at which
 * an iteration is formed sees it formed. */
static inline void same_samples(const reference *r, const observed *o, const char *which) {
  int at = -1, used = -1; /* the last iteration that has been formed; change of blocks */
  for (int i = 0; i < o->n_samples; i++) {
    const observed_sample *s = &o->samples[i];
    while (at + 1 < r->n_iterations && r->iterations[at + 1].formed <= s->time) at++;
    bool idle = at < 0 || r->iterations[at].end <= s->time;
    int running = idle ? 0 : r->iterations[at].running, blocks = 0;
    while (used + 1 < r->n_used && r->used[used + 1].time <= s->time) used++;
    if (used >= 0) blocks = r->used[used].blocks;
    int waiting = -running;
    for (int k = 0; k < r->n_requests; k++) {
      const reference_request *q = &r->requests[k];
      for (int n = 0; !q->rejected && n <= q->round; n++)
        waiting += q->came[n] <= s->time && q->went[n] > s->time;
    }
    ck_assert_msg(
        s->running == running && s->waiting == waiting && s->blocks == blocks &&
            s->capacity == r->n_blocks,
        "%s at %.6f ms: %d run, %d wait, %d of %d blocks; the reference: %d, %d, %d of %d", which,
        ms(s->time), s->running, s->waiting, s->blocks, s->capacity, running, waiting, blocks,
        r->n_blocks);
  }
}

static inline void same(const load *l, const reference *r, const observed *o, const char *which) {
  same_iterations(r, o, which);
  same_requests(l, r, o, which);
  same_samples(r, o, which);
}

/* The answers of a load are known, but not said by others before they have been: if they would be,
 * nobody knows them. */
static inline void hide_raced_answers(load *l, reference *r) {
  *r = reference_of(l, NULL);
  reference_run(r);
  if (!r->raced) return;
  forget_reference(r);
  for (int i = 0; i < l->n; i++) {
    demand *m = &l->demands[i];
    if (m->known > m->skip + l->prompts[i]) m->known = m->skip + l->prompts[i];
  }
  *r = reference_of(l, NULL);
  reference_run(r);
  REFERENCE_MUST(!r->raced);
}

/* Runs the load in both engines and in the reference; *r is its run, for more checks. */
static inline void compare(load *l, const char *name, reference *r) {
  observed seen[ENGINES];
  hide_raced_answers(l, r);
  observe_engines(l, seen);
  for (int e = ENGINES - 1; e >= 0;
       e--) { /* the stepping one first: it has fewer ways to be wrong */
    char *which = celslm_format("%s, %s", name, e == STEPPING ? "stepping" : "jumping");
    same(l, r, &seen[e], which);
    same_details(r, &seen[e], which);
    free_observed(&seen[e]);
    free(which);
  }
}

#endif
