/* drive.h - a load given to engines, and all that can be seen of it: requests, iterations, samples.
 *
 * Two ways to the same struct: engines driven through their header alone, a jumping and a stepping
 * one side by side in one process (cheap: hundreds of loads); and a whole simulation read back from
 * the results file it wrote (recorded.h). Times are in ns. */
#ifndef CELSLM_TESTS_SERVE_DRIVE_H
#define CELSLM_TESTS_SERVE_DRIVE_H

#include "net/net.h"
#include "recorded.h"
#include "reference.h"
#include "serve/engine.h"

/* What a request has beside its lengths; only for engines by themselves. */
typedef struct demand {
  int tenant, priority, predicted;
  int64_t deadline; /* ns; 0: none */
  bool given;
  int skip, known; /* its sequence: a context of `skip` tokens, prompt, answer; `known` of them */
  int *tokens;     /* [known] */
  reference_round rounds[REFERENCE_ROUNDS];
  int n_rounds;
  uint64_t *chain; /* of their blocks of load.hash_block tokens: set by the driver */
} demand;

typedef struct load {
  int budget, seqs, block_size, blocks;
  int64_t duration, sample; /* of an iteration; between samples */
  int64_t overhead;         /* from arrival to the queue (whole simulations only) */
  int n;
  int64_t *times; /* of arrival; the first is 0 */
  int *prompts, *outputs;
  /* only for engines by themselves; zero: as if there were no such thing */
  demand *demands; /* NULL: no request has any */
  int hash_block;
  reference_policy policy;
  int prompt_weight, output_weight;
  bool caching, chunks, rate_rejects;
  int watermark; /* in eighths of the blocks */
  int swap_blocks, max_len, max_queue;
  int rate, rate_burst; /* per second, a divisor of 10^9 */
} load;

typedef struct observed_request {
  int64_t queued, scheduled, first, last; /* -1: never. queued: before the overhead */
  int64_t longest, compute;               /* between two tokens; of its prefills (engines only) */
  int prompt, output, preemptions, cached;
  bool rejected;
} observed_request;

typedef struct observed_iteration {
  int64_t end, duration;
  int decodes, prefill_tokens;
  uint64_t members; /* who with how many tokens, as in the reference; 0: not known */
} observed_iteration;

typedef struct observed_sample {
  int64_t time;
  int running, waiting, blocks, capacity;
} observed_sample;

typedef struct observed {
  int n, n_iterations, n_samples;
  int64_t iterations_counted; /* as the engine says */
  celslm_cache_counts cache;
  celslm_little little;
  observed_request *requests; /* by id */
  observed_iteration *iterations;
  observed_sample *samples;
} observed;

static inline load new_load(int n) {
  return (load){.n = n,
                .times = celslm_alloc((unsigned long)n, sizeof(int64_t)),
                .prompts = celslm_alloc((unsigned long)n, sizeof(int)),
                .outputs = celslm_alloc((unsigned long)n, sizeof(int))};
}

static inline void free_load(load *l) {
  for (int i = 0; l->demands && i < l->n; i++) {
    free(l->demands[i].tokens);
    free(l->demands[i].chain);
  }
  free(l->demands);
  free(l->times);
  free(l->prompts);
  free(l->outputs);
}

static inline void free_observed(observed *o) {
  free(o->requests);
  free(o->iterations);
  free(o->samples);
}

/* Attributes beyond the basic ones, and the scheduler. */
static inline char *attributes_of(const load *l) {
  char *swap = l->swap_blocks
                   ? celslm_format("swap_to=\"memory\" swap_memory=\"%dB\"",
                                   l->swap_blocks * 8192 * l->block_size + 8191 * l->block_size)
                   : celslm_strdup("");
  char *rate = l->rate ? celslm_format("rate_limit=\"%d/s\" rate_burst=\"%d\" rate_action=\"%s\"",
                                       l->rate, l->rate_burst, l->rate_rejects ? "reject" : "wait")
                       : celslm_strdup("");
  char *text =
      celslm_format("prefix_caching=\"%s\" admission=\"%s\" watermark=\"%g\" max_model_len=\"%d\" "
                    "max_queue=\"%d\" %s %s",
                    l->caching ? "yes" : "no", l->chunks ? "chunk" : "prompt", l->watermark / 8.0,
                    l->max_len, l->max_queue, swap, rate);
  free(swap), free(rate);
  return text;
}

static inline char *scheduler_of(const load *l) {
  static const char *const names[] = {"fcfs", "shortest-job", "priority", "deadline", "fair"};
  const char *name = names[l->policy];
  if (l->policy != REFERENCE_SHORTEST && l->policy != REFERENCE_FAIR)
    return celslm_format("<scheduler><%s/></scheduler>", name);
  return celslm_format("<scheduler><%s prompt_weight=\"%d\" output_weight=\"%d\"/></scheduler>",
                       name, l->prompt_weight, l->output_weight);
}

static inline char *scenario_of(const load *l, const char *workload) {
  char *attributes = attributes_of(l), *scheduler = scheduler_of(l);
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"1\"><platform file=\"%s.xml\"/>"
      "<models><model file=\"models/big.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" max_num_batched_tokens=\"%d\" "
      "max_num_seqs=\"%d\" block_size=\"%d\" kv_blocks=\"%d\" fixed_iteration=\"%lldns\" "
      "client_overhead=\"%lldns\" %s>%s</engine></engines>%s"
      "<strategy><cloud-only/></strategy><results sample=\"%lldns\" "
      "iterations=\"yes\"/></scenario>",
      l->swap_blocks ? "swap" : "pair", l->budget, l->seqs, l->block_size, l->blocks,
      (long long)l->duration, (long long)l->overhead, attributes, scheduler, workload,
      (long long)l->sample);
  free(attributes), free(scheduler);
  return text;
}

/* An identity for each leading run of `block` tokens; the last one may be shorter. */
static inline uint64_t *chain_of(const int *tokens, int n, int block) {
  uint64_t *chain = celslm_alloc((unsigned long)(n + block - 1) / (unsigned long)block, 8), h = 1;
  for (int i = 0; i < n; i++) {
    h = (h ^ (uint64_t)(unsigned)tokens[i]) * 0x100000001b3u; /* FNV-1a, a token at a time */
    h ^= h >> 32;
    chain[i / block] = h;
  }
  return chain;
}

/* ---- a whole simulation ---------------------------------------------------------------------- */

static inline observed observe_simulation(const load *l, bool step) {
  char *trace = write_trace(l->times, l->prompts, l->outputs, l->n);
  char *workload =
      celslm_format("<workload><trace file=\"%s\" format=\"azure\"/></workload>", trace);
  char *text = scenario_of(l, workload);
  recorded run = run_recorded(text, step);
  unlink(trace);
  free(trace), free(workload), free(text);

  observed o = {.n = (int)run.requests.n,
                .n_iterations = (int)run.iterations.n,
                .n_samples = (int)run.engines.n,
                .iterations_counted = (int64_t)run.summary.column[S_ITERATIONS][0]};
  o.requests = celslm_alloc((unsigned long)o.n, sizeof *o.requests);
  o.iterations = celslm_alloc((unsigned long)o.n_iterations, sizeof *o.iterations);
  o.samples = celslm_alloc((unsigned long)o.n_samples, sizeof *o.samples);
  double *const *c = run.requests.column;
  for (int i = 0; i < o.n; i++)
    o.requests[(int)c[R_ID][i]] =
        (observed_request){.queued = ns_of(c[R_QUEUED][i]),
                           .scheduled = ns_of(c[R_SCHEDULED][i]),
                           .first = ns_of(c[R_FIRST][i]),
                           .last = ns_of(c[R_LAST][i]),
                           .prompt = (int)c[R_PROMPT][i],
                           .output = (int)c[R_OUTPUT][i],
                           .preemptions = (int)c[R_PREEMPTIONS][i],
                           .rejected = (int)c[R_END][i] == CELSLM_REJECTED};
  c = run.iterations.column;
  for (int i = 0; i < o.n_iterations; i++)
    o.iterations[i] = (observed_iteration){.end = ns_of(c[I_END][i]),
                                           .duration = ns_of(c[I_DURATION][i]),
                                           .decodes = (int)c[I_DECODES][i],
                                           .prefill_tokens = (int)c[I_PREFILL][i]};
  c = run.engines.column;
  for (int i = 0; i < o.n_samples; i++)
    o.samples[i] = (observed_sample){.time = ns_of(c[E_TIME][i]),
                                     .running = (int)c[E_RUNNING][i],
                                     .waiting = (int)c[E_WAITING][i],
                                     .blocks = (int)c[E_BLOCKS][i],
                                     .capacity = (int)c[E_CAPACITY][i]};
  free_recorded(&run);
  return o;
}

/* ---- engines by themselves ------------------------------------------------------------------- */

enum { JUMPING, STEPPING, ENGINES };

typedef struct driver {
  const load *load;
  celslm_net *net;
  celslm_engine *engines[ENGINES];
  observed seen[ENGINES];
  celslm_job *jobs[ENGINES];
  celslm_event *arrivals, sample;
  int arrived, ended;                /* ended: in both engines together */
  struct driver_back *back[ENGINES]; /* by job: when it goes on */
} driver;

struct driver_back {
  celslm_event event;
  driver *driver;
  celslm_job *job;
  int round;
};

static inline void driver_iteration(void *self, int engine, celslm_ns end, double duration,
                                    int64_t decodes, int64_t prefill_tokens) {
  driver *d = self;
  observed *o = &d->seen[engine];
  uint64_t members = 0;
  for (int i = 0; i < d->arrived; i++) {
    const celslm_job *j = &d->jobs[engine][i];
    if (j->state == CELSLM_JOB_DECODE)
      members += reference_member(i, false, 1);
    else if (j->state == CELSLM_JOB_PREFILL && j->until > j->layer)
      members += reference_member(i, true, j->chunk);
  }
  if (o->n_iterations % 1024 == 0)
    o->iterations =
        celslm_realloc(o->iterations, (unsigned long)o->n_iterations + 1024, sizeof *o->iterations);
  o->iterations[o->n_iterations++] =
      (observed_iteration){end, ns_of(duration), (int)decodes, (int)prefill_tokens, members};
}

static inline void driver_first_token(celslm_job *job) {
  (void)job;
}

static inline void driver_over(driver *d, celslm_job *job) {
  if (job->state == CELSLM_JOB_KEPT) celslm_engine_let_go(job->engine, job);
  ++d->ended;
}

static inline struct driver_back *driver_back_of(driver *d, const celslm_job *job) {
  int e = job >= d->jobs[STEPPING] && job < d->jobs[STEPPING] + d->load->n ? STEPPING : JUMPING;
  return &d->back[e][job->id];
}

static inline void driver_back(void *self) {
  struct driver_back *b = self;
  const reference_round *r = &b->driver->load->demands[b->job->id].rounds[b->round++];
  celslm_engine_shorten(b->job->engine, b->job, celslm_engine_tokens(b->job) - r->drop);
  if (celslm_engine_continue(b->job->engine, b->job, r->tokens, r->output) != CELSLM_SUBMITTED)
    driver_over(b->driver, b->job);
}

static inline void driver_done(celslm_job *job) {
  driver *d = job->self;
  const demand *m = d->load->demands ? &d->load->demands[job->id] : NULL;
  struct driver_back *b = driver_back_of(d, job);
  if (!m || b->round == m->n_rounds) {
    driver_over(d, job);
    return;
  }
  b->driver = d;
  b->job = job;
  b->event = (celslm_event){.fire = driver_back,
                            .self = b,
                            .cls = CELSLM_AT_ARRIVAL,
                            .id = (uint32_t)d->load->n + job->id};
  celslm_net_at(d->net, &b->event, celslm_net_now(d->net) + m->rounds[b->round].pause);
}

static const celslm_job_owner driver_owner = {.first_token = driver_first_token,
                                              .done = driver_done};

static inline void driver_demand(const load *l, celslm_job *j) {
  const demand *m = &l->demands[j->id];
  j->tenant = m->tenant;
  j->priority = m->priority;
  j->predicted = m->predicted;
  if (m->deadline) j->deadline = m->deadline;
  j->given = m->given;
  j->goes_on = m->n_rounds > 0;
  if (m->given) j->first_token = j->last_token = l->times[j->id];
  if (m->known)
    j->content =
        (celslm_content){.prefix = {m->chain, (m->known + l->hash_block - 1) / l->hash_block,
                                    l->hash_block, m->known},
                         .skip = m->skip};
}

static inline void driver_arrive(void *self) {
  driver *d = self;
  int i = d->arrived++;
  for (int e = 0; e < ENGINES; e++) {
    celslm_job *j = &d->jobs[e][i];
    *j = (celslm_job){.id = (uint32_t)i,
                      .prompt = d->load->prompts[i],
                      .output = d->load->outputs[i],
                      .owner = &driver_owner,
                      .self = d,
                      .deadline = CELSLM_NEVER};
    if (d->load->demands) driver_demand(d->load, j);
    d->seen[e].requests[i].rejected = celslm_engine_submit(d->engines[e], j) != CELSLM_SUBMITTED;
    d->ended += d->seen[e].requests[i].rejected;
  }
}

static inline void driver_sample(void *self) {
  driver *d = self;
  for (int e = 0; e < ENGINES; e++) {
    observed *o = &d->seen[e];
    celslm_engine_row row;
    celslm_engine_observe(d->engines[e], &row);
    if (o->n_samples % 1024 == 0)
      o->samples =
          celslm_realloc(o->samples, (unsigned long)o->n_samples + 1024, sizeof *o->samples);
    o->samples[o->n_samples++] = (observed_sample){.time = celslm_net_now(d->net),
                                                   .running = (int)row.running,
                                                   .waiting = (int)row.waiting,
                                                   .blocks = (int)row.kv_blocks_used,
                                                   .capacity = (int)row.kv_blocks};
  }
  if (d->ended < ENGINES * d->load->n)
    celslm_net_at(d->net, &d->sample, celslm_net_now(d->net) + d->load->sample);
}

static inline void driver_run(driver *d) {
  const load *l = d->load;
  for (int i = 0; l->demands && i < l->n; i++)
    l->demands[i].chain = chain_of(l->demands[i].tokens, l->demands[i].known, l->hash_block);
  celslm_error err = {0};
  char *text =
      scenario_of(l, "<workload requests=\"1\"><arrivals><poisson rate=\"1/s\"/></arrivals>"
                     "<prompt><fixed tokens=\"1\"/></prompt>"
                     "<output><fixed tokens=\"1\"/></output></workload>");
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  d->net = s ? celslm_net_new(s->platform) : NULL;
  const celslm_engine_hooks hooks = {.self = d, .iteration = driver_iteration};
  celslm_prices *prices = celslm_prices_new();
  for (int e = 0; d->net && e < ENGINES; e++) {
    d->engines[e] =
        celslm_engine_new(e, &s->engines[0], s, d->net, prices, e == STEPPING, &hooks, &err);
    d->jobs[e] = celslm_alloc((unsigned long)l->n, sizeof(celslm_job));
    d->back[e] = celslm_alloc((unsigned long)l->n, sizeof *d->back[e]);
    d->seen[e].n = l->n;
    d->seen[e].requests = celslm_alloc((unsigned long)l->n, sizeof(observed_request));
  }
  if (!d->net || !d->engines[JUMPING] || !d->engines[STEPPING]) {
    fprintf(stderr, "%s\n", err.text);
    _exit(98);
  }
  d->arrivals = celslm_alloc((unsigned long)l->n, sizeof *d->arrivals);
  for (int i = 0; i < l->n; i++) {
    d->arrivals[i] = (celslm_event){
        .fire = driver_arrive, .self = d, .cls = CELSLM_AT_ARRIVAL, .id = (uint32_t)i};
    celslm_net_at(d->net, &d->arrivals[i], l->times[i]);
  }
  d->sample = (celslm_event){.fire = driver_sample, .self = d, .cls = CELSLM_AT_SAMPLE};
  celslm_net_at(d->net, &d->sample, 0);
  celslm_net_run(d->net, CELSLM_NEVER);
  for (int e = 0; e < ENGINES; e++) {
    celslm_engine_row row;
    celslm_engine_observe(d->engines[e], &row);
    d->seen[e].iterations_counted = row.iterations;
    d->seen[e].cache = celslm_engine_cache(d->engines[e]);
    d->seen[e].little = celslm_engine_little(d->engines[e]);
    for (int i = 0; i < l->n; i++) {
      const celslm_job *j = &d->jobs[e][i];
      observed_request *q = &d->seen[e].requests[i];
      bool again = l->demands && l->demands[i].n_rounds;
      *q = (observed_request){.queued = q->rejected || again ? l->times[i] : j->queued,
                              .scheduled = j->scheduled,
                              .first = j->first_token,
                              .last = j->last_token,
                              .longest = j->itl_max >> 20,
                              .compute = j->compute,
                              .cached = j->cached,
                              .prompt = l->prompts[i],
                              .output = l->outputs[i],
                              .preemptions = (int)j->preemptions,
                              .rejected = q->rejected};
    }
    celslm_engine_free(d->engines[e]);
    free(d->jobs[e]);
    free(d->back[e]);
  }
  free(d->arrivals);
  celslm_prices_free(prices);
  celslm_net_free(d->net);
  celslm_scenario_free(s);
  free(text);
}

static inline void *take(FILE *f, int n, size_t size) {
  void *p = celslm_alloc((unsigned long)n, size);
  ck_assert_uint_eq(fread(p, size, (size_t)n, f), (size_t)n);
  return p;
}

/* Runs the load in a jumping and in a stepping engine, in a process of their own. */
static inline void observe_engines(const load *l, observed seen[ENGINES]) {
  int ends[2];
  ck_assert_int_eq(pipe(ends), 0);
  fflush(NULL);
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    close(ends[0]);
    FILE *f = fdopen(ends[1], "w");
    driver d = {.load = l};
    driver_run(&d);
    for (int e = 0; e < ENGINES; e++) {
      observed *o = &d.seen[e];
      fwrite(o, sizeof *o, 1, f);
      fwrite(o->requests, sizeof *o->requests, (size_t)o->n, f);
      fwrite(o->iterations, sizeof *o->iterations, (size_t)o->n_iterations, f);
      fwrite(o->samples, sizeof *o->samples, (size_t)o->n_samples, f);
      free_observed(o);
    }
    _exit(fclose(f) != 0);
  }
  close(ends[1]);
  FILE *f = fdopen(ends[0], "r");
  for (int e = 0; e < ENGINES; e++) {
    observed *o = &seen[e];
    ck_assert_msg(fread(o, sizeof *o, 1, f) == 1, "the engines died");
    o->requests = take(f, o->n, sizeof *o->requests);
    o->iterations = take(f, o->n_iterations, sizeof *o->iterations);
    o->samples = take(f, o->n_samples, sizeof *o->samples);
  }
  fclose(f);
  int status;
  waitpid(pid, &status, 0);
  ck_assert_msg(status == 0, "the engines ended with status %d", status);
}

#endif
