/* reference.h - the scheduler of one engine once more, slow and plain, as the oracle of its tests.
 *
 * Written from the documented rules of vLLM v1's scheduler, and sharing nothing with sim/: every KV
 * block is an object (reference_blocks.h), lists are arrays that are shifted, every iteration is
 * stepped through, who is next is searched for (reference_queue.h).
 *
 *   1. An iteration has a budget of tokens and a limit of sequences.
 *   2. Running requests come first, in order of admission: each takes min(tokens without KV, budget
 *      left). While a block is missing for them, one is preempted: the request admitted last, or,
 *      with priorities and deadlines, the least urgent; what it had of the budget comes back. It
 *      may be the one that wanted the block; then neither it nor those behind it have a part in
 *      this iteration. If that leaves nobody, the next iteration begins at once.
 *   3. A preempted request loses all its blocks. If it was decoding, and the swap memory has room
 *      for its KV, it is swapped; otherwise it goes back to where it stood in the queue, and all
 *      its tokens are to be computed again.
 *   4. If nobody was preempted, swapped requests come back, the most urgent first, while budget,
 *      slots and blocks (with one for the next token) last; then, if nobody is left swapped,
 *      waiting ones in the order of the policy while budget and slots last and the blocks could
 *      hold all tokens that the request has by now, or its first chunk (`chunks`). While others
 *      run, `reserve` blocks have to stay free.
 *   5. Prefix caching: a full block has a name, that of its content, from the iteration on that
 *      computes its last token. A request that is admitted starts with the longest run of leading
 *      blocks whose names are known, but computes one token at least. Blocks go back last one
 *      first. Content that is nobody else's has a name too: the preempted find their own blocks,
 *      unless they were swapped.
 *   6. A request that has KV for all its tokens at the end of an iteration gets a token then. With
 *      the last one it leaves: first those that decode, then those that prefill, in order of
 *      admission. A `given` one brings the KV of its prompt and its first token, and decodes.
 *   7. Swapped KV is moved before the iteration begins, out and in at the same time.
 *   8. A request that is to go on keeps its blocks when it has its last token, and while it waits
 * in the queue again. Whenever blocks are missing, for rules 2 and 4 alike and before anybody is
 *      preempted, they are taken from those that do not run, all that one has at a time, from the
 *      one that has not run for longest; for rule 4 only if that is enough, or nobody runs. Who
 *      lost them computes all its tokens again. Going on is no arrival: limits do not hold.
 * A prompt recomputed after a preemption includes the tokens generated so far.
 *
 * Every iteration takes the same time; the next one begins at once if anybody waits or runs, and
 * what arrives at that very instant takes part. An idle engine begins when a request arrives.
 *
 * Invariant: a block has as many references as it stands in tables; a free block has none. */
#ifndef CELSLM_TESTS_SERVE_REFERENCE_H
#define CELSLM_TESTS_SERVE_REFERENCE_H

#include "reference_queue.h"

/* ---- blocks ---------------------------------------------------------------------------------- */

static inline int reference_blocks_for(const reference *r, int tokens) {
  return (tokens + r->block_size - 1) / r->block_size;
}

static inline void reference_release(reference *r, reference_request *q, bool forget_own) {
  while (q->n_table) {
    reference_block *b = q->table[--q->n_table];
    if (forget_own && b->name < 0) b->name = 0;
    b->answer = false;
    reference_let_go(&r->blocks, b);
  }
}

static inline void reference_not_idle(reference *r, reference_request *q) {
  int at = 0;
  while (r->idle[at] != q) REFERENCE_MUST(++at < r->n_idle);
  reference_take(r->idle, &r->n_idle, at);
  q->idle = false;
}

/* Rule 8. */
static inline void reference_take_idle(reference *r, int blocks, const reference_request *self,
                                       bool at_any_rate) {
  int could = r->blocks.n_free;
  for (int i = 0; i < r->n_idle; i++)
    for (int k = 0; k < r->idle[i]->n_table; k++)
      could += r->idle[i] != self && r->idle[i]->table[k]->references == 1;
  for (int i = 0; i < r->n_idle && r->blocks.n_free < blocks && (could >= blocks || at_any_rate);) {
    reference_request *q = r->idle[i];
    if (q == self) {
      i++;
      continue;
    }
    reference_not_idle(r, q);
    reference_release(r, q, false);
    q->computed = 0;
    r->taken++;
  }
}

/* Gives `q` the blocks for `tokens` tokens in all, or none of them. */
static inline bool reference_allocate(reference *r, reference_request *q, int tokens) {
  int missing = reference_blocks_for(r, tokens) - q->n_table;
  if (missing > r->blocks.n_free) reference_take_idle(r, missing, q, true);
  if (missing > r->blocks.n_free) return false;
  for (; missing > 0; missing--) q->table[q->n_table++] = reference_pop(&r->blocks);
  return true;
}

/* The name of a request's i-th block: the content's, or one of its own. */
static inline int64_t reference_name_of(const reference *r, const reference_request *q, int i) {
  if (i < q->n_contents && q->contents[i]) return q->contents[i];
  return -((int64_t)(q - r->requests) << 32 | (int64_t)(i + 1));
}

/* Names the blocks that are full once this iteration is over. `decodes`: its next token does it. */
static inline void reference_publish(reference *r, reference_request *q, bool decodes) {
  if (!r->caching) return;
  for (int i = 0; (i + 1) * r->block_size <= q->computed + q->chunk; i++) {
    reference_block *b = q->table[i];
    int64_t name = reference_name_of(r, q, i);
    REFERENCE_MUST(!b->name || b->name == name);
    if (b->name) continue;
    const reference_block *twin = reference_find(&r->blocks, name);
    if (twin) r->blocks.twins++;
    if (twin && (decodes || twin->answer)) r->raced++;
    b->name = name;
    b->named = ++r->blocks.names;
    b->answer = decodes;
  }
}

/* Leading blocks that are there already; *revived: of them free. */
static inline int reference_hit(reference *r, const reference_request *q, int *revived) {
  int n = 0;
  *revived = 0;
  if (!r->caching) return 0;
  int limit = q->past ? q->past + 1 : reference_tokens(q);
  for (; (n + 1) * r->block_size < limit; n++) {
    const reference_block *b = reference_find(&r->blocks, reference_name_of(r, q, n));
    if (!b) break;
    r->raced += b->answer;
    *revived += b->references == 0;
  }
  return n;
}

/* ---- preemption ------------------------------------------------------------------------------ */

static inline bool reference_swap_out(reference *r, reference_request *q) {
  int blocks = reference_blocks_for(r, q->computed);
  if (q->prefills || blocks > r->swap_room) return false;
  r->swap_room -= blocks;
  r->moved_out += blocks;
  r->swaps++;
  int at = r->n_swapped;
  while (at > 0 && reference_less_urgent(r->swapped[at - 1], q)) at--;
  reference_insert(r->swapped, &r->n_swapped, at, q);
  return true;
}

/* Preempts one; its place among the running. */
static inline int reference_preempt(reference *r, int *budget) {
  int at = r->n_running - 1;
  if (reference_by_urgency(r))
    for (int i = 0; i < r->n_running; i++)
      if (reference_less_urgent(r->running[i], r->running[at])) at = i;
  reference_request *q = r->running[at];
  reference_take(r->running, &r->n_running, at);
  *budget += q->chunk;
  q->chunk = 0;
  q->preemptions++;
  r->preemptions++;
  r->urgent += at < r->n_running;
  bool swapped = reference_swap_out(r, q);
  reference_release(r, q, swapped);
  if (swapped) return at;
  q->computed = 0;
  q->prefills = true;
  q->given = false;
  reference_insert(r->waiting, &r->n_waiting, 0, q);
  return at;
}

/* Rule 2. Returns whether anybody was preempted. */
static inline bool reference_continue_running(reference *r, int *budget) {
  bool preempted = false;
  for (int i = 0; i<r->n_running && * budget> 0; i++) {
    reference_request *q = r->running[i];
    int tokens = reference_tokens(q) - q->computed;
    if (tokens > *budget) tokens = *budget;
    bool itself = false;
    while (!itself && !reference_allocate(r, q, q->computed + tokens)) {
      preempted = true;
      int at = reference_preempt(r, budget);
      itself = at == i;
      i -= at <= i;
    }
    if (itself) {
      r->ended_early += i + 1 < r->n_running;
      break;
    }
    q->chunk = tokens;
    *budget -= tokens;
  }
  for (int i = 0; i < r->n_running; i++) {
    reference_request *q = r->running[i];
    reference_publish(r, q, !q->prefills);
  }
  return preempted;
}

/* ---- coming (back) --------------------------------------------------------------------------- */

static inline int reference_available(const reference *r) {
  return r->blocks.n_free - (r->n_running ? r->reserve : 0);
}

static inline bool reference_room(reference *r, const reference_request *q, int blocks) {
  if (blocks > reference_available(r))
    reference_take_idle(r, blocks + (r->n_running ? r->reserve : 0), q, r->n_running == 0);
  return blocks <= reference_available(r);
}

static inline void reference_start(reference *r, reference_request *q, int64_t now, int tokens,
                                   int *budget) {
  bool had = reference_allocate(r, q, q->computed + tokens);
  REFERENCE_MUST(had);
  reference_insert(r->running, &r->n_running, r->n_running, q);
  if (!q->started) q->scheduled = now;
  q->started = true;
  q->chunk = tokens;
  *budget -= tokens;
  reference_publish(r, q, false);
}

static inline void reference_swap_in(reference *r, int64_t now, int *budget) {
  while (r->n_swapped && r->n_running<r->seqs && * budget> 0) {
    reference_request *q = r->swapped[0];
    if (!reference_room(r, q, reference_blocks_for(r, q->computed + 1))) {
      r->reserved += reference_blocks_for(r, q->computed + 1) <= r->blocks.n_free;
      return;
    }
    reference_take(r->swapped, &r->n_swapped, 0);
    int blocks = reference_blocks_for(r, q->computed);
    r->swap_room += blocks;
    r->moved_in += blocks;
    reference_start(r, q, now, 1, budget);
  }
}

/* Rule 4. False: it has to wait. */
static inline bool reference_admit(reference *r, int at, int64_t now, int *budget) {
  reference_request *q = r->waiting[at];
  int revived = 0, hit = q->given || q->idle ? 0 : reference_hit(r, q, &revived);
  int computed = q->given ? q->prompt : q->idle ? q->computed : hit * r->block_size;
  int tokens = reference_tokens(q) - computed, wanted = tokens;
  if (tokens > *budget) tokens = *budget;
  if (r->chunks) wanted = tokens;
  int blocks = reference_blocks_for(r, computed + wanted) - q->n_table - hit + revived;
  if (blocks > reference_available(r) && reference_room(r, q, blocks))
    return reference_admit(r, at, now, budget); /* what was taken may be found now */
  if (blocks > reference_available(r)) {
    r->reserved += blocks <= r->blocks.n_free;
    return false;
  }
  r->chunked += tokens < reference_tokens(q) - computed && r->chunks;
  reference_leave_queue(r, at);
  for (int i = 0; i < hit; i++) {
    reference_block *b = reference_find(&r->blocks, reference_name_of(r, q, i));
    r->found_own += b->name < 0;
    reference_refer(&r->blocks, b);
    q->table[q->n_table++] = b;
  }
  q->computed = computed;
  q->prefills = !q->given;
  q->past = 0;
  if (q->idle) {
    reference_not_idle(r, q);
  } else if (!q->given) {
    if (!q->started) q->cached = computed;
    r->asked += reference_tokens(q);
    r->found += computed;
  }
  reference_start(r, q, now, tokens, budget);
  return true;
}

/* Rule 8: it comes back. What it has had and lost since, it may find again, but not what it drops.
 */
static inline void reference_go_on(reference *r, reference_request *q, int64_t now) {
  const reference_round *next = &q->rounds[q->round];
  int had = q->prompt + q->generated - (q->generated > 0); /* the last token has no KV */
  int stays = had - next->drop, prompt = q->prompt, output = q->output;
  q->back = -1;
  r->shortened += next->drop > 0;
  while (q->n_table > reference_blocks_for(r, stays)) {
    reference_block *b = q->table[--q->n_table];
    b->name = 0;
    reference_let_go(&r->blocks, b);
  }
  int whole = stays / r->block_size;
  for (int i = whole; i < q->n_table; i++) q->table[i]->name = 0;
  for (int i = 0; i < r->blocks.n; i++) {
    reference_block *b = &r->blocks.all[i];
    if (b->name < 0 && -b->name >> 32 == (int64_t)(q - r->requests) &&
        (-b->name & 0xffffffff) > whole)
      b->name = 0;
  }
  if (q->idle) q->computed = stays;
  q->prompt = stays + next->tokens;
  q->output = next->output;
  if (!reference_fits(r, q)) {
    q->prompt = prompt;
    q->output = output;
    if (q->idle) reference_not_idle(r, q);
    reference_release(r, q, false);
    r->ended++;
    r->refused++;
    reference_log(r, now);
    return;
  }
  q->round++;
  q->came[q->round] = now;
  q->went[q->round] = INT64_MAX;
  q->past = stays;
  q->generated = 0;
  q->given = false;
  q->prefills = true;
  r->went_on++;
  reference_enqueue(r, q);
  reference_log(r, now);
}

/* ---- one iteration --------------------------------------------------------------------------- */

static inline void reference_token(reference_request *q, int64_t now) {
  if (q->last >= 0 && now - q->last > q->longest) q->longest = now - q->last;
  if (++q->generated == 1 && q->first < 0) q->first = now;
  q->last = now;
}

/* Rule 6, for those that decode or those that prefill. */
static inline void reference_finish(reference *r, int64_t now, bool prefills) {
  for (int i = 0; i < r->n_running; i++) {
    reference_request *q = r->running[i];
    if (!q->chunk || q->prefills != prefills) continue;
    q->computed += q->chunk;
    q->chunk = 0;
    if (prefills)
      q->compute += r->duration;
    else
      r->served[q->tenant] += r->output_weight;
    if (q->computed < reference_tokens(q)) continue;
    q->prefills = false;
    if (q->output > 0) reference_token(q, now);
    if (q->output > 0 && prefills) r->served[q->tenant] += r->output_weight;
    if (q->generated < q->output) continue;
    reference_take(r->running, &r->n_running, i--);
    q->stayed += now - q->came[q->round];
    q->gone = q->went[q->round] = now;
    if (q->round < q->n_rounds) {
      q->back = now + q->rounds[q->round].pause;
      q->idle = true;
      reference_insert(r->idle, &r->n_idle, r->n_idle, q);
      continue;
    }
    reference_release(r, q, false);
    r->ended++;
  }
}

/* Which requests take part, with how many tokens. */
static inline uint64_t reference_member(int id, bool prefills, int tokens) {
  uint64_t x =
      ((uint64_t)id << 32 | (uint64_t)prefills << 31 | (uint64_t)tokens) * 0x9e3779b97f4a7c15u;
  return (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
}

static inline int64_t reference_move(const reference *r, int blocks) {
  return blocks ? blocks * r->move_time + r->move_latency : 0;
}

static inline void reference_step(reference *r, int64_t now, int64_t *end) {
  r->moved_out = r->moved_in = 0;
  int budget = -1;
  do {
    r->began_again += budget == r->budget;
    budget = r->budget;
    if (reference_continue_running(r, &budget)) continue;
    reference_swap_in(r, now, &budget);
    while (!r->n_swapped && r->n_waiting && r->n_running < r->seqs && budget > 0 &&
           reference_admit(r, reference_next(r), now, &budget))
      continue;
  } while (budget == r->budget); /* nobody takes part */
  int64_t out = reference_move(r, r->moved_out), in = reference_move(r, r->moved_in);
  *end = now + (out > in ? out : in) + r->duration;
  reference_iteration it = {.formed = now,
                            .end = *end,
                            .running = r->n_running,
                            .blocks = r->blocks.n - r->blocks.n_free};
  for (int i = 0; i < r->n_running; i++) {
    const reference_request *q = r->running[i];
    if (!q->chunk) continue;
    if (q->prefills)
      it.prefill_tokens += q->chunk;
    else
      it.decodes++;
    it.members += reference_member((int)(q - r->requests), q->prefills, q->chunk);
  }
  REFERENCE_MUST(it.decodes + it.prefill_tokens > 0 && it.decodes + it.prefill_tokens <= r->budget);
  r->iterations = realloc(r->iterations, (size_t)(r->n_iterations + 1) * sizeof *r->iterations);
  REFERENCE_MUST(r->iterations);
  r->iterations[r->n_iterations++] = it;
}

/* ---- a run ----------------------------------------------------------------------------------- */

/* Runs until every request has ended. The caller has set what is the caller's, the rest is zero. */
static inline void reference_run(reference *r) {
  size_t n = (size_t)r->n_requests;
  reference_blocks_init(&r->blocks, r->n_blocks);
  reference_request ***lists[] = {&r->running, &r->waiting, &r->swapped, &r->held, &r->idle};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    *lists[i] = calloc(n + 1, sizeof(reference_request *));
    REFERENCE_MUST(*lists[i]);
  }
  for (size_t i = 0; i < n; i++) {
    reference_request *q = &r->requests[i];
    q->table = calloc((size_t)r->n_blocks, sizeof(reference_block *));
    REFERENCE_MUST(q->table);
    q->scheduled = q->first = q->last = q->back = -1;
    q->went[0] = INT64_MAX;
  }
  r->swap_room = r->swap_blocks;
  r->bucket = r->rate_burst * r->rate_interval;
  r->left_last = -1;
  int64_t now = 0;
  for (;;) {
    reference_come(r, now);
    if (r->ended == r->n_requests) break;
    if (r->n_running + r->n_waiting + r->n_swapped == 0) {
      REFERENCE_MUST(reference_next_coming(r) < INT64_MAX);
      now = reference_next_coming(r);
      continue;
    }
    reference_step(r, now, &now);
    reference_log(r, r->iterations[r->n_iterations - 1].formed);
    reference_come(r, now); /* sees the iteration's tokens not counted yet */
    reference_finish(r, now, false);
    reference_finish(r, now, true);
    reference_log(r, now);
  }
  REFERENCE_MUST(r->blocks.n_free == r->n_blocks && r->swap_room == r->swap_blocks);
}

static inline void reference_free(reference *r) {
  for (int i = 0; i < r->n_requests; i++) free(r->requests[i].table);
  reference_blocks_free(&r->blocks);
  free(r->running);
  free(r->waiting);
  free(r->swapped);
  free(r->held);
  free(r->idle);
  free(r->used);
  free(r->iterations);
}

#endif
