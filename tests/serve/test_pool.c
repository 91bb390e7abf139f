/* test_pool.c - the pool of KV blocks by itself: random operations against a naive one, in which
 * every block is an entry of an array, what it holds is compared token by token, and the free ones
 * stand in an array that is shifted; and small cases worked out by hand. */
#include "serve/pool.h"

#include "support.h"

#include <gsl/gsl_rng.h>

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}
static int least(int a, int b) {
  return a < b ? a : b;
}

/* ---- jobs with contents ---------------------------------------------------------------------- */

enum { JOBS = 24, TOKENS = 160, BLOCKS = 120 };

typedef struct job {
  int tokens[TOKENS], known, skip; /* of the sequence; the job's own begin after `skip` */
  uint64_t chain[TOKENS];
  celslm_content content;
  celslm_held held;
  bool running;
  int computed, blocks;    /* tokens; blocks in use */
  int had;                 /* tokens when it gave its blocks back, to come again */
  int naive_table[BLOCKS]; /* the naive pool's blocks */
} job;

static void draw_job(job *jobs, int i, int hash_block) {
  job *j = &jobs[i];
  *j = (job){.known = any(0, TOKENS), .skip = any(0, 2) ? 0 : any(0, 6)};
  int common = i && any(0, 3) ? any(0, jobs[any(0, i - 1)].known) : 0;
  const job *parent = &jobs[i ? any(0, i - 1) : 0];
  common = least(common, least(parent->known, j->known));
  memcpy(j->tokens, parent->tokens, (size_t)common * sizeof(int));
  for (int k = common; k < j->known; k++) j->tokens[k] = any(1, 1 << 30);
  uint64_t h = 7;
  for (int k = 0; k < j->known; k++) {
    h = celslm_identity(h, (uint64_t)j->tokens[k]);
    j->chain[k / hash_block] = h;
  }
  if (j->known)
    j->content = (celslm_content){
        {j->chain, (j->known + hash_block - 1) / hash_block, hash_block, j->known}, j->skip};
}

/* ---- the naive pool -------------------------------------------------------------------------- */

typedef struct naive {
  int block, hash_block, total;
  struct {
    int job, index; /* whose i-th block it holds; job -1: nothing that can be found */
    int references;
    int64_t named;
  } all[BLOCKS];
  int queue[BLOCKS], n_free;
  int64_t names;
  const job *jobs;
} naive;

/* Tokens that have to be equal: whole hash blocks. 0: nobody knows them. */
static int compared(const naive *n, const job *j, int index) {
  int end = j->skip + (index + 1) * n->block;
  if (end > j->known) return 0;
  return least((end + n->hash_block - 1) / n->hash_block * n->hash_block, j->known);
}

static bool alike(const naive *n, int a, int i, int b, int k) {
  if (a == b) return i == k;
  const job *x = &n->jobs[a], *y = &n->jobs[b];
  int tokens = compared(n, x, i);
  return tokens && tokens == compared(n, y, k) &&
         x->skip + i * n->block == y->skip + k * n->block &&
         memcmp(x->tokens, y->tokens, (size_t)tokens * sizeof(int)) == 0;
}

static int naive_find(const naive *n, int whose, int index) {
  int found = -1;
  for (int b = 0; b < n->total; b++)
    if (n->all[b].job >= 0 && alike(n, n->all[b].job, n->all[b].index, whose, index) &&
        (found < 0 || n->all[b].named < n->all[found].named))
      found = b;
  return found;
}

static void naive_unqueue(naive *n, int at) {
  memmove(n->queue + at, n->queue + at + 1, (size_t)(--n->n_free - at) * sizeof(int));
}

static void naive_take(naive *n, job *j, int blocks) {
  for (; blocks > 0; blocks--) {
    int b = n->queue[0];
    naive_unqueue(n, 0);
    n->all[b].job = -1;
    n->all[b].references = 1;
    j->naive_table[j->blocks++] = b;
  }
}

static void naive_publish(naive *n, job *j, int tokens) {
  for (int i = 0; i < tokens / n->block; i++) {
    int b = j->naive_table[i];
    if (n->all[b].job >= 0) continue;
    n->all[b].job = (int)(j - n->jobs);
    n->all[b].index = i;
    n->all[b].named = ++n->names;
  }
}

/* Only its first `tokens` tokens have been computed. */
static void naive_release(naive *n, job *j, int tokens, bool again) {
  while (j->blocks) {
    int i = --j->blocks, b = j->naive_table[i];
    bool own = !compared(n, j, i);
    if (own && !again) n->all[b].job = -1; /* nobody will ask for it */
    if (--n->all[b].references) continue;
    if (i >= tokens / n->block) n->all[b].job = -1;
    n->queue[n->n_free++] = b;
  }
}

static int naive_lookup(const naive *n, const job *j, int need, int *revived) {
  int hit = 0;
  for (*revived = 0; (hit + 1) * n->block < need; hit++) {
    int b = naive_find(n, (int)(j - n->jobs), hit);
    if (b < 0) break;
    *revived += n->all[b].references == 0;
  }
  return hit;
}

static void naive_adopt(naive *n, job *j, int blocks) {
  for (int i = 0; i < blocks; i++) {
    int b = naive_find(n, (int)(j - n->jobs), i), at = 0;
    if (n->all[b].references++ == 0) {
      while (n->queue[at] != b) at++;
      naive_unqueue(n, at);
    }
    j->naive_table[j->blocks++] = b;
  }
}

/* ---- random operations ----------------------------------------------------------------------- */

typedef struct counts {
  int64_t hits, revived, shared, again, broken, refused;
} counts;

/* What a job of `need` tokens would find is the same in both. */
static int64_t same_lookup(const celslm_pool *p, const naive *n, const job *j, int need,
                           int *revived) {
  int64_t free_ones, hit = celslm_pool_lookup(p, &j->content, &j->held, need, &free_ones);
  int blocks = naive_lookup(n, j, need, revived);
  ck_assert_int_eq(hit, (int64_t)blocks * n->block);
  ck_assert_int_eq(free_ones, *revived);
  return hit;
}

static void begin(celslm_pool *p, naive *n, job *j, counts *c) {
  int need = j->had + any(1, TOKENS - j->had), revived;
  if (j->had) need = least(need, j->had + 1 + any(0, 4));
  int64_t hit = same_lookup(p, n, j, need, &revived);
  int tokens = any((int)hit + 1, need), found = (int)hit / n->block;
  int more = (tokens + n->block - 1) / n->block - found;
  if (more + revived > p->free) {
    c->refused++;
    return;
  }
  c->hits += found;
  c->revived += revived;
  c->shared += found - revived;
  celslm_pool_adopt(p, &j->content, &j->held, hit);
  celslm_pool_take(p, more);
  naive_adopt(n, j, found);
  naive_take(n, j, more);
  celslm_pool_publish(p, &j->content, &j->held, tokens);
  naive_publish(n, j, tokens);
  j->running = true;
  j->computed = tokens;
}

static void go_on(celslm_pool *p, naive *n, job *j) {
  int tokens = least(TOKENS, j->computed + any(1, any(1, 20)));
  int more = (tokens + n->block - 1) / n->block - j->blocks;
  if (more > p->free) return;
  celslm_pool_take(p, more);
  naive_take(n, j, more);
  celslm_pool_publish(p, &j->content, &j->held, tokens);
  naive_publish(n, j, tokens);
  j->computed = tokens;
}

static void stop(celslm_pool *p, naive *n, job *j, counts *c) {
  bool again = any(0, 1) && j->computed < TOKENS;
  int beyond = least(any(0, 2), (int)p->free); /* blocks taken, but not computed */
  celslm_pool_take(p, beyond);
  naive_take(n, j, beyond);
  if (any(0, 3) == 0) { /* what it last took, it has not computed */
    int tokens = any(0, j->computed), block = n->block;
    beyond += (j->computed + block - 1) / block - (tokens + block - 1) / block;
    c->broken += j->computed / block > tokens / block;
    j->computed = tokens;
  }
  celslm_pool_release(p, &j->content, &j->held, j->computed, beyond, again);
  naive_release(n, j, j->computed, again);
  if (!again) celslm_held_clear(&j->held);
  c->again += again;
  j->had = again ? j->computed : 0;
  j->running = false;
}

START_TEST(test_random_operations) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  counts c = {0};
  static job jobs[JOBS];
  for (int run = 0; run < (getenv("CELSLM_FULL") ? 3000 : 150); run++) {
    gsl_rng_set(dice, (unsigned long)run + 1);
    naive n = {.block = any(1, 8), .hash_block = any(1, 12), .total = any(1, BLOCKS), .jobs = jobs};
    n.total = least(n.total, any(20, BLOCKS));
    for (int b = 0; b < n.total; b++) {
      n.all[b].job = -1;
      n.queue[n.n_free++] = b;
    }
    for (int i = 0; i < JOBS; i++) draw_job(jobs, i, n.hash_block);
    celslm_pool p;
    celslm_pool_init(&p, n.block, n.total, true);
    for (int k = 0; k < 300; k++) {
      job *j = &jobs[any(0, JOBS - 1)];
      if (!j->running)
        begin(&p, &n, j, &c);
      else if (any(0, 2))
        go_on(&p, &n, j);
      else
        stop(&p, &n, j, &c);
      ck_assert_int_eq(p.free, n.n_free);
      celslm_pool_check(&p);
      for (int i = 0, revived; i < JOBS; i++)
        if (!jobs[i].running)
          same_lookup(&p, &n, &jobs[i], least(TOKENS, jobs[i].had + 60), &revived);
      double share = 0;
      int used = 0;
      for (int i = 0; i < JOBS; i++) {
        share += celslm_held_share(&jobs[i].held);
        used += jobs[i].running ? jobs[i].blocks - jobs[i].held.n : 0;
      }
      ck_assert_double_eq_tol(share + used, (double)(n.total - n.n_free), 1e-9);
    }
    for (int i = 0; i < JOBS; i++) {
      if (jobs[i].running)
        celslm_pool_release(&p, &jobs[i].content, &jobs[i].held, jobs[i].computed, 0, false);
      celslm_held_clear(&jobs[i].held);
    }
    ck_assert_int_eq(p.free, p.total);
    celslm_pool_check(&p);
    celslm_pool_clear(&p);
  }
  ck_assert_msg(c.hits >= 5000 && c.revived >= 1000 && c.shared >= 4000 && c.again >= 1000 &&
                    c.broken >= 400 && c.refused >= 5000,
                "%lld blocks found, %lld free, %lld in use, %lld times to come again, %lld broken "
                "off, %lld refused",
                (long long)c.hits, (long long)c.revived, (long long)c.shared, (long long)c.again,
                (long long)c.broken, (long long)c.refused);
  gsl_rng_free(dice);
}
END_TEST

/* ---- by hand --------------------------------------------------------------------------------- */

/* Contents of blocks of two tokens: equal letters, equal blocks (and all before them). */
static celslm_content content_of(const char *letters, uint64_t chain[16]) {
  int n = (int)strlen(letters);
  uint64_t h = 1;
  for (int i = 0; i < n; i++) chain[i] = h = celslm_identity(h, (uint64_t)letters[i]);
  return (celslm_content){{chain, n, 2, 2 * n}, 0};
}

static int64_t found(const celslm_pool *p, const char *letters, int64_t need, int64_t *revived) {
  uint64_t chain[16];
  celslm_content c = content_of(letters, chain);
  celslm_held none = {0};
  return celslm_pool_lookup(p, &c, &none, need, revived) / 2;
}

/* Five blocks. "abc" comes and goes: c, b, a are free in this order, behind two that were never
 * taken. Whoever takes three blocks takes those two and c; "abx" then finds a and b, and "bc"
 * nothing: what stands before counts too. */
START_TEST(test_last_block_first) {
  celslm_pool p;
  celslm_pool_init(&p, 2, 5, true);
  uint64_t chain[16];
  celslm_content c = content_of("abc", chain);
  celslm_held h = {0};
  celslm_pool_take(&p, 3);
  celslm_pool_publish(&p, &c, &h, 5); /* c is not full */
  int64_t revived;
  ck_assert_int_eq(found(&p, "abc", 100, &revived), 2);
  celslm_pool_publish(&p, &c, &h, 6);
  ck_assert_int_eq(found(&p, "abc", 100, &revived), 3);
  ck_assert_int_eq(revived, 0);
  ck_assert_int_eq(found(&p, "abc", 6, &revived), 2); /* one token is always computed */
  ck_assert_int_eq(found(&p, "bc", 100, &revived), 0);
  celslm_pool_release(&p, &c, &h, 6, 0, false);
  celslm_held_clear(&h);
  ck_assert_int_eq(p.free, 5);
  ck_assert_int_eq(found(&p, "abc", 100, &revived), 3);
  ck_assert_int_eq(revived, 3);
  celslm_pool_take(&p, 3);
  ck_assert_int_eq(found(&p, "abc", 100, &revived), 2);
  ck_assert_int_eq(found(&p, "abx", 100, &revived), 2);
  celslm_pool_take(&p, 1);
  ck_assert_int_eq(found(&p, "abx", 100, &revived), 1);
  celslm_pool_take(&p, 1);
  ck_assert_int_eq(found(&p, "abx", 100, &revived), 0);
  celslm_pool_check(&p);
  celslm_pool_clear(&p);
}
END_TEST

/* A block that was found is the newest when it is free again: "a" survives "b", which was used
 * later at first. */
START_TEST(test_least_recently_used) {
  celslm_pool p;
  celslm_pool_init(&p, 2, 2, true);
  uint64_t chains[2][16];
  celslm_content c[2] = {content_of("a", chains[0]), content_of("b", chains[1])};
  celslm_held h = {0};
  for (int i = 0; i < 2; i++) {
    celslm_pool_take(&p, 1);
    celslm_pool_publish(&p, &c[i], &h, 2);
    celslm_pool_release(&p, &c[i], &h, 2, 0, false);
    celslm_held_clear(&h);
  }
  int64_t revived;
  ck_assert_int_eq(celslm_pool_lookup(&p, &c[0], &h, 3, &revived), 2);
  celslm_pool_adopt(&p, &c[0], &h, 2);
  ck_assert_int_eq(p.free, 1);
  ck_assert_double_eq(celslm_held_share(&h), 1);
  celslm_pool_release(&p, &c[0], &h, 2, 0, false);
  celslm_held_clear(&h);
  celslm_pool_take(&p, 1);
  ck_assert_int_eq(found(&p, "a", 3, &revived), 1);
  ck_assert_int_eq(found(&p, "b", 3, &revived), 0);
  celslm_pool_clear(&p);
}
END_TEST

/* Without caching there is nothing but a number. */
START_TEST(test_count_alone) {
  celslm_pool p;
  celslm_pool_init(&p, 4, 10, false);
  uint64_t chain[16];
  celslm_content c = content_of("abc", chain);
  celslm_held h = {0};
  celslm_pool_take(&p, 4);
  celslm_pool_publish(&p, &c, &h, 6);
  ck_assert_int_eq(h.n, 0);
  ck_assert_int_eq(p.free, 6);
  celslm_pool_release(&p, &c, &h, 9, 1, true); /* 3 blocks of 4 tokens, and one beyond */
  ck_assert_int_eq(p.free, 10);
  int64_t revived;
  ck_assert_int_eq(found(&p, "abc", 100, &revived), 0);
  celslm_pool_clear(&p);
}
END_TEST

RUN_SUITE("pool", test_random_operations, test_last_block_first, test_least_recently_used,
          test_count_alone)
