#include "strategy/at_site.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- messages between a user and a site ------------------------------------------------------ */

typedef enum way { WAY_UP, WAY_ON, WAY_FIRST, WAY_LAST, WAY_QUEUE } way;

typedef struct message {
  celslm_transfer wire;
  celslm_hop air;
  celslm_event timer;
  celslm_request *request;
  way way;
  uint8_t attempt; /* the request's when it left */
  celslm_ns begun; /* the hop under way */
  struct message *next;
} message;

static message *new_message(celslm_request *r, way w) {
  celslm_system *s = r->system;
  message *m = s->spare;
  if (m)
    s->spare = m->next;
  else
    m = celslm_alloc(1, sizeof *m);
  m->request = r;
  m->way = w;
  m->attempt = r->attempt;
  return m;
}

static void drop_message(message *m) {
  celslm_system *s = m->request->system;
  m->next = s->spare;
  s->spare = m;
}

void celslm_system_free_messages(celslm_system *s) {
  for (message *m = s->spare, *next; m; m = next) {
    next = m->next;
    free(m);
  }
  s->spare = NULL;
}

static const celslm_user *user_of(const celslm_request *r) {
  return &r->system->users[r->user];
}

/* The host that a user's traffic goes through: the base station, or the edge host itself. */
int celslm_access_host(const celslm_request *r) {
  const celslm_user *u = user_of(r);
  return u->cell < 0 ? u->host : r->system->scenario->platform->cells[u->cell].host;
}

static void moved(const message *m, celslm_span_kind kind, int place, int index) {
  celslm_system *s = m->request->system;
  if (s->moved) s->moved(s->watcher, kind, place, index, m->request->id, m->begun);
}

static void lost_on_wire(void *self);

static void send_wire(message *m, int from, int to, double bytes, celslm_traffic traffic,
                      void (*done)(void *)) {
  m->begun = celslm_net_now(m->request->system->net);
  m->wire = (celslm_transfer){.from = from,
                              .to = to,
                              .bytes = (uint64_t)ceil(bytes),
                              .traffic = traffic,
                              .delivered = done,
                              .failed = lost_on_wire,
                              .patience = m->request->system->patience,
                              .self = m};
  celslm_net_send(m->request->system->net, &m->wire);
}

static void lost_in_air(void *self);

static void send_air(message *m, bool uplink, double bytes, void (*done)(void *)) {
  celslm_system *s = m->request->system;
  m->begun = celslm_net_now(s->net);
  m->air = (celslm_hop){.ue = (int)m->request->user,
                        .uplink = uplink,
                        .bytes = bytes,
                        .done = done,
                        .failed = lost_in_air,
                        .self = m};
  celslm_ran_send(s->ran, &m->air);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* When nothing of it is left anywhere. */
static void settle(celslm_request *r) {
  if (r->messages || !r->done) return;
  r->end = r->reason ? CELSLM_DROPPED : r->refused ? CELSLM_REJECTED : CELSLM_COMPLETED;
  r->system->ended(r->system->self, r);
}

void celslm_drop(celslm_request *r, celslm_reason reason) {
  if (!r->reason) r->reason = (uint8_t)reason;
  if (!r->job.owner && !r->between) r->done = true; /* it has not reached an engine, and will not */
  settle(r);
}

static void lose_message(message *m, celslm_reason reason) {
  celslm_request *r = m->request;
  if (m->way == WAY_ON) r->between = false;
  if (m->way > WAY_ON) r->messages--;
  drop_message(m);
  celslm_drop(r, reason);
}

static void lost_in_air(void *self) {
  lose_message(self, CELSLM_REASON_SIGNAL);
}

static void lost_on_wire(void *self) {
  const message *m = self;
  const celslm_system *s = m->request->system;
  bool crashed = s->sites[m->request->site].down;
  for (int i = 0; m->way == WAY_ON && i < s->scenario->n_engines; i++)
    crashed = crashed || (s->sites[i].host == m->wire.from && s->sites[i].down);
  lose_message(self, crashed ? CELSLM_REASON_HOST : CELSLM_REASON_LINK);
}

/* ---- up -------------------------------------------------------------------------------------- */

static double prompt_bytes(const celslm_request *r) {
  const celslm_radio_config *c = &r->system->scenario->radio;
  return r->prompt * c->bytes_per_token + c->packet_overhead;
}

static void prompt_arrived(void *self) {
  message *m = self;
  celslm_request *r = m->request;
  celslm_system *s = r->system;
  int host = s->sites[r->site].host;
  moved(m, CELSLM_SPAN_PROMPT, 1, host);
  if (s->scenario->platform->hosts[host].role == CELSLM_CLOUD) r->to_cloud += m->wire.bytes;
  r->uploaded = celslm_net_now(s->net);
  drop_message(m);
  r->between = false;
  if (s->sites[r->site].down)
    celslm_drop(r, CELSLM_REASON_HOST);
  else if (r->reason)
    celslm_drop(r, (celslm_reason)r->reason); /* a token was lost meanwhile */
  else
    r->then(r);
}

static void prompt_in_cell(void *self) {
  message *m = self;
  celslm_system *s = m->request->system;
  const celslm_user *u = user_of(m->request);
  moved(m, CELSLM_SPAN_PROMPT, 2, u->cell);
  send_wire(m, celslm_access_host(m->request), s->sites[m->request->site].host,
            prompt_bytes(m->request), CELSLM_PROMPT, prompt_arrived);
}

/* What a request will find where it goes to is fetched from memory while it is on its way. */
static void expect_at(const celslm_system *s, int site) {
  __builtin_prefetch(&s->scenario->engines[site].client_overhead);
  __builtin_prefetch(&s->scenario->platform->hosts[s->sites[site].host].role);
  celslm_engine_expect(s->sites[site].engine);
}

void celslm_upload(celslm_request *r, int site, void (*then)(celslm_request *r)) {
  celslm_system *s = r->system;
  const celslm_user *u = user_of(r);
  r->site = site;
  r->then = then;
  message *m = new_message(r, WAY_UP);
  double bytes = prompt_bytes(r);
  expect_at(s, site);
  if (u->cell < 0) {
    send_wire(m, u->host, s->sites[site].host, bytes, CELSLM_PROMPT, prompt_arrived);
    return;
  }
  s->bytes_up[u->cell] += bytes;
  send_air(m, true, bytes, prompt_in_cell);
}

static double token_bytes(const celslm_request *r) {
  const celslm_radio_config *c = &r->system->scenario->radio;
  return c->bytes_per_token + c->packet_overhead;
}

/* Tokens between the first and the last one: counted, not raced (see system.h). */
static void count_tokens(celslm_request *r, int32_t n) {
  celslm_system *s = r->system;
  const celslm_user *u = user_of(r);
  if (n <= 0) return;
  double bytes = n * token_bytes(r);
  if (u->cell >= 0) s->bytes_down[u->cell] += bytes;
  celslm_net_count(s->net, s->sites[r->site].host, celslm_access_host(r), (uint64_t)ceil(bytes),
                   CELSLM_TOKENS);
}

void celslm_forward(celslm_request *r, int site, void (*then)(celslm_request *r)) {
  celslm_system *s = r->system;
  celslm_ns now = celslm_net_now(s->net);
  celslm_site *from = &s->sites[r->site];
  bool served = r->job.owner != NULL;
  celslm_ns computing = served ? now - r->job.scheduled : 0;
  bool in_cloud = s->scenario->platform->hosts[from->host].role == CELSLM_CLOUD;
  *(in_cloud ? &r->before_cloud : &r->before_edge) += computing;
  r->before_all += now - r->uploaded;
  if (served && !r->held) count_tokens(r, r->output - 1);
  if (r->entry) celslm_store_unpin(from->store, r->entry);
  r->entry = NULL;
  r->job = (celslm_job){.scheduled = -1, .preemptions = r->job.preemptions};
  r->compute = r->hidden = r->loading_there = r->loading_here = r->moving = 0;
  r->first_seen = r->last_seen = -1;
  r->attempt++;
  r->held = false;
  r->between = true;
  r->site = site;
  r->then = then;
  send_wire(new_message(r, WAY_ON), from->host, s->sites[site].host, prompt_bytes(r), CELSLM_PROMPT,
            prompt_arrived);
}

celslm_verdicts celslm_judge(const celslm_request *r) {
  return celslm_correctness_of(r->system->correctness, r->demand.session, r->demand.turn);
}

/* ---- down ------------------------------------------------------------------------------------ */

static void token_seen(void *self) {
  message *m = self;
  celslm_request *r = m->request;
  const celslm_user *u = user_of(r);
  if (u->cell >= 0) moved(m, CELSLM_SPAN_TOKENS, 2, u->cell);
  celslm_ns now = celslm_net_now(r->system->net);
  bool answer = m->attempt == r->attempt; /* else a token that another site's answer replaces */
  if (answer && m->way == WAY_FIRST) r->first_seen = now;
  /* a last token that overtook the first one is of use when that is there too */
  if (answer && (m->way == WAY_LAST || r->output == 1 || r->last_seen >= 0)) r->last_seen = now;
  drop_message(m);
  r->messages--;
  settle(r);
}

/* At a base station: the user's, or one that it has left meanwhile. */
static void token_in_cell(void *self) {
  message *m = self;
  celslm_request *r = m->request;
  if (m->wire.to == celslm_access_host(r))
    send_air(m, false, token_bytes(r), token_seen);
  else
    send_wire(m, m->wire.to, celslm_access_host(r), token_bytes(r), CELSLM_TOKENS, token_in_cell);
}

static void send_token(celslm_request *r, way w) {
  celslm_system *s = r->system;
  const celslm_user *u = user_of(r);
  message *m = new_message(r, w);
  r->messages++;
  if (u->cell >= 0) s->bytes_down[u->cell] += token_bytes(r);
  send_wire(m, s->sites[r->site].host, celslm_access_host(r), token_bytes(r), CELSLM_TOKENS,
            u->cell < 0 ? token_seen : token_in_cell);
}

/* ---- served ---------------------------------------------------------------------------------- */

static celslm_ns later(celslm_ns a, celslm_ns b) {
  return a > b ? a : b;
}

static celslm_ns sooner(celslm_ns a, celslm_ns b) {
  return a < b ? a : b;
}

/* Where the time from the complete prompt to the first token went: the context was being loaded (at
 * its source, then on the wire) during [uploaded, complete), the prompt was computed during
 * job.compute, of which job.hidden while the context was still on its way. */
static void break_down(celslm_request *r) {
  const celslm_job *j = &r->job;
  const celslm_entry *e = r->entry;
  r->compute = j->compute;
  r->hidden = j->hidden;
  if (!e || r->source == CELSLM_CONTEXT_HIT) return;
  celslm_ns complete = sooner(e->stream.complete, j->first_token);
  celslm_ns ready = sooner(e->ready, complete), asked = later(e->asked, r->uploaded);
  celslm_ns source = ready > asked ? ready - asked : 0;
  r->loading_there = e->computed_here ? 0 : source;
  r->loading_here = e->computed_here ? source : 0;
  r->moving = complete > r->uploaded ? complete - r->uploaded - source : 0;
}

void celslm_first_token(celslm_job *job) {
  celslm_request *r = job->self;
  r->first_site = r->site;
  break_down(r);
  if (!r->held) send_token(r, WAY_FIRST);
}

void celslm_answered(celslm_request *r) {
  if (r->entry) celslm_store_unpin(r->system->sites[r->site].store, r->entry);
  r->done = true;
  if (r->held) send_token(r, WAY_FIRST);
  if (r->output == 1) return; /* its first token is its last */
  send_token(r, WAY_LAST);
  count_tokens(r, r->output - 2);
}

/* It stands on no context any more, and is with no engine. */
static void step_back(celslm_request *r) {
  celslm_site *site = &r->system->sites[r->site];
  celslm_entry *e = r->entry;
  r->entry = NULL;
  r->job.owner = NULL;
  if (!e) return;
  if (r->job.stream) celslm_store_unwait(e, &r->waiter);
  celslm_store_unpin(site->store, e);
}

static void on_aborted(celslm_job *job) {
  celslm_request *r = job->self;
  step_back(r);
  celslm_drop(r, CELSLM_REASON_HOST);
}

static void on_done(celslm_job *job) {
  celslm_request *r = job->self;
  if (r->reason || !r->strategy->answered || r->strategy->answered(r->options, r))
    celslm_answered(r);
}

static const celslm_job_owner owner = {
    .first_token = celslm_first_token, .done = on_done, .aborted = on_aborted};

/* The context that a request's prefill follows has come, or it will not: then it is recomputed. */
static void stream_over(void *self, bool ok) {
  celslm_request *r = self;
  if (ok) return;
  celslm_site *site = &r->system->sites[r->site];
  if (r->job.state != CELSLM_JOB_NEW) celslm_engine_withdraw(site->engine, &r->job);
  r->failed_stream = r->job.state == CELSLM_JOB_NEW; /* it is before the queue: see submit */
  if (r->failed_stream) return;
  step_back(r);
  celslm_serve_without(r);
}

/* Whether what is still to come of its context is there before it is needed, if layers go on coming
 * as they have: the last one behind the prompt's compute of all others. */
static bool hidden_behind_compute(const celslm_request *r) {
  const celslm_site *site = &r->system->sites[r->site];
  const celslm_stream *s = &r->entry->stream;
  int64_t layers = site->model->layers, left = layers - s->ready;
  if (!left) return true;
  if (!s->first || s->ready == s->base) return false; /* nobody knows how fast they come */
  double each =
      celslm_seconds(celslm_net_now(r->system->net) - s->first) / (double)(s->ready - s->base);
  double compute =
      celslm_engine_prefill_seconds(site->engine, r->job.prompt, r->entry->shared.tokens);
  return (double)left * each <= compute * (double)(layers - 1) / (double)layers;
}

/* Or else it waits for layers before it is in the queue. */
static bool may_join(const celslm_request *r) {
  if (r->entry->residence != CELSLM_LOADING) return true;
  return r->entry->stream.ready >= r->entry->stream.local &&
         (r->join != CELSLM_JOIN_ADMIT || hidden_behind_compute(r));
}

static void submit(celslm_request *r);

static void watched(void *self, bool more) {
  (void)more;
  submit(self);
}

static void submit(celslm_request *r) {
  celslm_site *site = &r->system->sites[r->site];
  if (site->down || r->failed_stream) {
    bool again = !site->down;
    r->failed_stream = false;
    step_back(r);
    if (again)
      celslm_serve_without(r);
    else
      celslm_drop(r, CELSLM_REASON_HOST);
    return;
  }
  if (r->job.stream && !may_join(r)) {
    r->watcher = (celslm_waiter){.then = watched, .self = r};
    celslm_store_watch(r->entry, &r->watcher);
    return;
  }
  if (celslm_engine_submit(site->engine, &r->job) == CELSLM_SUBMITTED) return;
  step_back(r);
  if (!r->strategy->turned_away || !r->strategy->turned_away(r->options, r)) celslm_reject(r);
}

static void overhead_over(void *self) {
  message *m = self;
  celslm_request *r = m->request;
  drop_message(m);
  submit(r);
}

/* To the engine of its site, after the client's overhead. */
static void queue(celslm_request *r) {
  celslm_system *s = r->system;
  double overhead = s->scenario->engines[r->site].client_overhead;
  if (overhead <= 0) {
    submit(r);
    return;
  }
  message *m = new_message(r, WAY_QUEUE);
  m->timer = (celslm_event){.fire = overhead_over, .self = m, .cls = CELSLM_AT_TIMER, .id = r->id};
  celslm_net_at(s->net, &m->timer, celslm_net_now(s->net) + celslm_ns_of(overhead));
}

static void prepare(celslm_request *r, int32_t tokens, celslm_entry *entry) {
  r->entry = entry;
  r->job.id = r->id;
  r->job.prompt = tokens;
  r->job.output = r->output;
  r->job.shared = entry ? &entry->shared : NULL;
  r->job.stream = entry && entry->residence == CELSLM_LOADING ? &entry->stream : NULL;
  r->job.stalls = r->join == CELSLM_JOIN_STALL;
  r->job.cls = r->demand.cls;
  r->job.tenant = r->demand.tenant;
  r->job.priority = r->demand.priority;
  r->job.predicted = r->demand.predicted;
  r->job.deadline = r->demand.deadline;
  r->job.content = (celslm_content){r->demand.prefix, entry ? entry->shared.tokens : 0};
  r->job.owner = &owner;
  r->job.self = r;
  r->job.state = CELSLM_JOB_NEW;
}

void celslm_serve(celslm_request *r, int32_t tokens, celslm_entry *entry) {
  prepare(r, tokens, entry);
  if (entry) celslm_store_pin(r->system->sites[r->site].store, entry);
  if (r->job.stream) {
    r->waiter = (celslm_waiter){.then = stream_over, .self = r};
    celslm_store_wait(entry, &r->waiter);
  }
  queue(r);
}

void celslm_serve_with(celslm_request *r, int32_t tokens, int32_t output,
                       const celslm_job_owner *who) {
  prepare(r, tokens, NULL);
  r->job.owner = who;
  r->job.output = output;
  celslm_prefix *known = &r->job.content.prefix;
  if (r->job.goes_on && known->tokens > tokens) known->tokens = tokens; /* see engine.h */
  queue(r);
}

void celslm_serve_prefill(celslm_request *r, int32_t tokens, const celslm_job_owner *who) {
  r->job.keeps = true;
  celslm_serve_with(r, tokens, 1, who);
}

void celslm_reject(celslm_request *r) {
  r->done = r->refused = true;
  settle(r); /* its first token may be on the way */
}

/* ---- the row --------------------------------------------------------------------------------- */

void celslm_request_row_of(const celslm_request *r, celslm_request_row *row) {
  const celslm_system *s = r->system;
  const celslm_job *j = &r->job;
  const celslm_user *u = user_of(r);
  *row = (celslm_request_row){
      .end = r->end,
      .context_source = r->source,
      .correct = CELSLM_NOT_MEASURED,
      .id = r->id,
      .ue = r->user,
      .cell = u->cell < 0 ? UINT32_MAX : (uint32_t)u->cell,
      .engine = r->site < 0 ? UINT32_MAX : (uint32_t)r->site,
      .context = r->context < 0 ? UINT32_MAX : (uint32_t)r->context,
      .class = (uint32_t)r->demand.cls,
      .tenant = (uint32_t)r->demand.tenant,
      .session = r->demand.session,
      .turn = r->demand.turn,
      .prompt_tokens = (uint32_t)r->prompt,
      .context_tokens = r->context < 0 ? 0 : (uint32_t)s->scenario->contexts[r->context].tokens,
      .output_tokens = (uint32_t)r->output,
      .preemptions = j->preemptions,
      .cached_tokens = (uint32_t)j->cached,
      .arrival = celslm_seconds(r->arrival),
      .deadline = r->demand.deadline == CELSLM_NEVER ? NAN : celslm_seconds(r->demand.deadline),
      .user_bytes_to_cloud = (double)r->to_cloud,
      .kv_bytes = r->kv_bytes,
  };
  if (s->correctness && r->end == CELSLM_COMPLETED)
    row->correct = celslm_judge(r).right[s->scenario->engines[r->site].model];
  double *unknown[] = {&row->queued,   &row->scheduled,  &row->first_token, &row->last_token,
                       &row->ttft,     &row->tpot,       &row->e2e,         &row->itl_max,
                       &row->queueing, &row->normalised, &row->t_up,        &row->t_wait,
                       &row->t_cloud,  &row->t_comm,     &row->t_edge,      &row->t_hidden,
                       &row->t_down};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) *unknown[i] = NAN;
  if (r->uploaded >= 0) row->queued = celslm_seconds(r->uploaded);
  if (r->uploaded >= 0 && j->owner && j->scheduled >= 0)
    row->scheduled = celslm_seconds(j->scheduled);
  row->queueing = row->scheduled - row->queued;
  if (r->first_seen < 0) return;
  row->first_token = celslm_seconds(r->first_seen);
  row->ttft = celslm_seconds(r->first_seen - r->arrival);
  row->t_up = celslm_seconds(r->uploaded - r->arrival - r->before_all);
  row->t_down = celslm_seconds(r->first_seen - j->first_token);
  bool in_cloud = s->scenario->platform->hosts[s->sites[r->first_site].host].role == CELSLM_CLOUD;
  celslm_ns here = r->compute + r->loading_here;
  row->t_cloud = celslm_seconds(r->loading_there + (in_cloud ? here : 0) + r->before_cloud);
  row->t_edge = celslm_seconds((in_cloud ? 0 : here) + r->before_edge);
  row->t_comm = celslm_seconds(r->moving);
  row->t_hidden = celslm_seconds(r->hidden);
  row->t_wait = celslm_seconds(j->first_token - r->uploaded - r->loading_there - r->moving - here +
                               r->hidden + r->before_all - r->before_cloud - r->before_edge);
  if (r->end != CELSLM_COMPLETED) return;
  row->last_token = celslm_seconds(r->last_seen);
  row->e2e = celslm_seconds(r->last_seen - r->arrival);
  row->normalised = row->e2e / r->output;
  if (r->output < 2) return;
  row->tpot = celslm_seconds(r->last_seen - r->first_seen) / (r->output - 1);
  row->itl_max = celslm_tick_seconds(j->itl_max);
}
