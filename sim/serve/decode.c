/* decode.c - the decoding jobs of an engine as sums: what the next iteration attends and reads, who
 * finishes first, whose next token opens a block, and the longest iteration since any step. All
 * that changes with every token is kept here, so that an iteration costs the same however many
 * decode. */
#include "serve/state.h"

#include <string.h>

/* ---- lists ----------------------------------------------------------------------------------- */

void celslm_list_append(job_list *l, celslm_job *j) {
  j->before = l->last;
  j->after = NULL;
  *(l->last ? &l->last->after : &l->first) = j;
  l->last = j;
  l->n++;
}

void celslm_list_insert(job_list *l, celslm_job *after, celslm_job *j) {
  celslm_job *next = after ? after->after : l->first;
  j->before = after;
  j->after = next;
  *(after ? &after->after : &l->first) = j;
  *(next ? &next->before : &l->last) = j;
  l->n++;
}

void celslm_list_remove(job_list *l, celslm_job *j) {
  *(j->before ? &j->before->after : &l->first) = j->after;
  *(j->after ? &j->after->before : &l->last) = j->before;
  l->n--;
}

void celslm_prefill_append(celslm_engine *e, celslm_job *j) {
  j->prefill_before = e->prefill_last;
  j->prefill_after = NULL;
  *(e->prefill_last ? &e->prefill_last->prefill_after : &e->prefill_first) = j;
  e->prefill_last = j;
}

void celslm_prefill_remove(celslm_engine *e, celslm_job *j) {
  *(j->prefill_before ? &j->prefill_before->prefill_after : &e->prefill_first) = j->prefill_after;
  *(j->prefill_after ? &j->prefill_after->prefill_before : &e->prefill_last) = j->prefill_before;
}

/* Room for more in an array that began in the engine's block; *n: entries. */
static void *widen(const celslm_engine *e, void *array, int64_t *n, size_t size) {
  int64_t had = *n;
  *n = had < CELSLM_FEW_JOBS * 8 ? CELSLM_FEW_JOBS * 8 : 2 * had;
  if (!celslm_within(e, array)) return celslm_realloc(array, (unsigned long)*n, size);
  void *wider = celslm_alloc((unsigned long)*n, size);
  memcpy(wider, array, (size_t)had * size);
  return wider;
}

/* ---- the heap, on (finish, order) ------------------------------------------------------------ */

/* Without a branch: which of two children ends first cannot be predicted. */
static inline bool earlier(const decode_entry *a, const decode_entry *b) {
  return (a->finish < b->finish) | ((a->finish == b->finish) & (a->order < b->order));
}

static void heap_up(decode_entry *heap, int64_t at, decode_entry it) {
  for (; at > 0 && earlier(&it, &heap[(at - 1) / 2]); at = (at - 1) / 2)
    heap[at] = heap[(at - 1) / 2];
  heap[at] = it;
}

static void heap_down(decode_entry *heap, int64_t n, int64_t at, decode_entry it) {
  for (int64_t child; (child = 2 * at + 1) < n; at = child) {
    child += child + 1 < n && earlier(&heap[child + 1], &heap[child]);
    if (!earlier(&heap[child], &it)) break;
    heap[at] = heap[child];
  }
  heap[at] = it;
}

static void heap_push(celslm_engine *e, celslm_job *j) {
  if (e->decodes == e->heap_size)
    e->decoding = widen(e, e->decoding, &e->heap_size, sizeof *e->decoding);
  heap_up(e->decoding, e->decodes++,
          (decode_entry){e->step + (j->output - j->generated), j->order, j});
}

/* Jobs do not know their places: most leave from the top, only the preempted are looked for. */
static void heap_remove(celslm_engine *e, const celslm_job *j) {
  decode_entry *heap = e->decoding, last = heap[--e->decodes];
  int64_t at = 0;
  while (heap[at].job != j) at++;
  if (last.job == j) return;
  if (at > 0 && earlier(&last, &heap[(at - 1) / 2]))
    heap_up(heap, at, last);
  else
    heap_down(heap, e->decodes, at, last);
}

/* ---- the sums -------------------------------------------------------------------------------- */

int64_t celslm_job_kv(const celslm_engine *e, const celslm_job *j) {
  return j->state == CELSLM_JOB_DECODE ? j->need + (e->step - j->joined) : j->computed + j->chunk;
}

static int64_t phase_of(const celslm_engine *e, int64_t kv, int64_t step) {
  int64_t p = (kv - step) % e->block;
  return p < 0 ? p + e->block : p;
}

/* Adds (sign 1) or takes away (-1) a job's share of what the next iteration attends and reads.
 * A query attends the context, the job's KV and the token it stands for itself. */
static void count_decode(celslm_engine *e, celslm_job *j, int64_t sign) {
  int64_t own = celslm_job_kv(e, j) + 1;
  e->attended += sign * own;
  e->read += sign * own;
  if (!j->shared) return;
  e->attended += sign * j->shared->tokens;
  if (sign > 0 ? j->shared->decoding++ == 0 : --j->shared->decoding == 0)
    e->read += sign * j->shared->tokens;
}

void celslm_decode_join(celslm_engine *e, celslm_job *j) {
  j->state = CELSLM_JOB_DECODE;
  j->joined = e->step;
  e->phase[phase_of(e, j->need, e->step)]++;
  e->decodes_of[j->cls]++;
  count_decode(e, j, 1);
  celslm_waiting_decodes(&e->queue, j, e->step, 1);
  heap_push(e, j);
}

void celslm_decode_leave(celslm_engine *e, celslm_job *j) {
  count_decode(e, j, -1);
  celslm_waiting_decodes(&e->queue, j, e->step, -1);
  e->phase[phase_of(e, celslm_job_kv(e, j), e->step)]--;
  e->decodes_of[j->cls]--;
  heap_remove(e, j);
}

int64_t celslm_blocks_opened(const celslm_engine *e, int64_t from, int64_t k) {
  int64_t opened = k / e->block * e->decodes;
  for (int64_t i = k - k % e->block; i < k; i++) opened += e->phase[phase_of(e, 0, from + i)];
  return opened;
}

int64_t celslm_steps_that_fit(const celslm_engine *e, int64_t most) {
  int64_t cycles = e->pool.free / e->decodes; /* of `block` steps each, every job opens one block */
  int64_t k = cycles * e->block;
  if (k >= most) return most;
  for (int64_t left = e->pool.free - cycles * e->decodes; k < most; k++) {
    left -= e->phase[phase_of(e, 0, e->step + 1 + k)];
    if (left < 0) break;
  }
  return k;
}

int64_t celslm_longest_since(const celslm_engine *e, int64_t step) {
  int64_t low = 0,
          high = e->n_longest; /* the first entry with a later step: lengths fall from there */
  while (low < high) {
    int64_t mid = (low + high) / 2;
    if (e->longest[mid].step > step)
      high = mid;
    else
      low = mid + 1;
  }
  return low < e->n_longest ? e->longest[low].ticks : 0;
}

void celslm_longest_push(celslm_engine *e, int64_t step, int64_t ticks) {
  while (e->n_longest && e->longest[e->n_longest - 1].ticks <= ticks) e->n_longest--;
  if (e->n_longest == e->longest_size)
    e->longest = widen(e, e->longest, &e->longest_size, sizeof *e->longest);
  e->longest[e->n_longest].step = step;
  e->longest[e->n_longest++].ticks = ticks;
}
