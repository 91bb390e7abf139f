/* disaggregated.c - one engine prefills and gives the first token, another decodes; in between the
 * KV cache crosses the network, whole or as it is computed.
 *
 * Zhong et al., DistServe (arXiv 2401.09670); Patel et al., Splitwise (arXiv 2311.18677). Both
 * engines serve the same model. KV leaves the prefill engine chunk by chunk at the end of the
 * iteration that computed it; of the last chunk layer l of L leaves when (l + 1) / L of the
 * iteration are over (layers take equal shares of it: an approximation). It waits at the decode
 * engine's host, as it was sent, until blocks are free there: the most that waited at a host is
 * kv_waiting_peak of /summary. That memory is not bounded unless `kv_buffer` says so: then a
 * request has room for all its KV before any leaves, in order of asking, and until it has, its KV
 * stays in the blocks of the engine that prefilled it, which so admits less: DistServe's way with
 * bursts (section 4.3), where decode instances fetch what they have memory for.
 *
 * Invariant: what is reserved at a host is at most kv_buffer (but for pieces' rounding to whole
 * bytes), and what waits there at most what is reserved. */
#include "share/codec.h"
#include "strategy/at_site.h"
#include "strategy/engines.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct handover handover;

/* The memory for KV at a host that decodes. */
typedef struct buffer {
  double reserved;        /* B */
  handover *first, *last; /* who wait for room */
} buffer;

typedef struct options {
  int *prefill, *decode; /* engines; decode NULL: the edge nearest to the user */
  int n_prefill, n_decode, turn, turn_back;
  bool layers, least_loaded;
  celslm_codec codec;
  double most;     /* B at each host; INFINITY: no bound */
  buffer *buffers; /* by engine */
} options;

/* ---- choosing engines ------------------------------------------------------------------------ */

/* The engines named in a list, which serve the same model as *model (-1: any so far). */
static bool read_engines(const celslm_scenario *s, const celslm_element *e, const char *name,
                         int **list, int *n, int *model, celslm_error *err) {
  if (!celslm_engines_read(s, e, name, list, n, err)) return false;
  for (int i = 0; i < *n; i++) {
    const celslm_engine_config *c = &s->engines[(*list)[i]];
    if (*model >= 0 && c->model != *model)
      return celslm_element_fail(e, err,
                                 "<%s> engine \"%s\" serves %s, others %s; KV only moves between "
                                 "engines of one model",
                                 e->name, c->name, s->models[c->model].name,
                                 s->models[*model].name);
    *model = c->model;
  }
  return true;
}

/* No engine may do both: its blocks would be held by what waits for memory elsewhere, and that
 * memory by what waits for its blocks. Not even in two parts of a mixed strategy. */
static bool check_bounded(const options *o, const celslm_system *s, const celslm_element *e,
                          celslm_error *err) {
  for (int i = 0; i < o->n_prefill; i++) s->sites[o->prefill[i]].gives_kv = true;
  for (int i = 0; i < o->n_decode; i++) s->sites[o->decode[i]].takes_kv = true;
  for (int u = 0; !o->decode && u < s->n_users; u++) s->sites[s->users[u].site].takes_kv = true;
  for (int i = 0; i < s->scenario->n_engines; i++)
    if (s->sites[i].gives_kv && s->sites[i].takes_kv)
      return celslm_element_fail(e, err,
                                 "<%s> kv_buffer with engine \"%s\" both prefilling and decoding: "
                                 "they would wait for each other; allowed are engines that do one "
                                 "of the two",
                                 e->name, s->scenario->engines[i].name);
  return true;
}

static bool read_ends(options *o, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  int model = -1;
  if (!read_engines(s->scenario, e, "prefill", &o->prefill, &o->n_prefill, &model, err))
    return false;
  if (celslm_element_attribute(e, "decode"))
    return read_engines(s->scenario, e, "decode", &o->decode, &o->n_decode, &model, err);
  for (int u = 0; u < s->n_users; u++) {
    int site = s->users[u].site;
    if (site < 0 || s->scenario->engines[site].model != model)
      return celslm_element_fail(e, err,
                                 "<%s> without decode=\"...\" decodes at the users' edges: each "
                                 "needs an engine of %s",
                                 e->name, s->scenario->models[model].name);
  }
  return true;
}

static bool configure(void *to, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  static const char *const transfers[] = {"layers", "whole", NULL};
  static const char *const selections[] = {"least-loaded", "round-robin", NULL};
  options *o = to;
  int transfer, selection;
  if (!celslm_element_choice(e, "transfer", transfers, 0, &transfer, err) ||
      !celslm_element_choice(e, "select", selections, 0, &selection, err) ||
      !celslm_element_quantity(e, "kv_buffer", CELSLM_UNIT_BYTES, 1, INFINITY, INFINITY, &o->most,
                               err) ||
      !celslm_codec_read(e, "codec", &o->codec, err) || !read_ends(o, s, e, err))
    return false;
  o->layers = transfer == 0;
  o->least_loaded = selection == 0;
  o->buffers = celslm_alloc((unsigned long)s->scenario->n_engines, sizeof *o->buffers);
  return isinf(o->most) || check_bounded(o, s, e, err);
}

static void clear(void *o) {
  free(((options *)o)->buffers);
  free(((options *)o)->prefill);
  free(((options *)o)->decode);
}

static int choose(const celslm_system *s, const options *o, const int *list, int n, int *turn) {
  int best = list[*turn];
  *turn = (*turn + 1) % n;
  for (int i = 0; o->least_loaded && i < n; i++)
    if (celslm_engine_present(s->sites[list[i]].engine) <
        celslm_engine_present(s->sites[best].engine))
      best = list[i];
  return best;
}

/* ---- handing a request over ------------------------------------------------------------------ */

typedef struct piece { /* of its KV; from `ready` on it may leave */
  celslm_transfer transfer;
  celslm_ns ready;
  struct piece *next;
  handover *handover;
} piece;

struct handover {
  celslm_request *r;
  celslm_job job;      /* the decoding one */
  piece *first, *last; /* all pieces, in order */
  piece *next;         /* to leave next; NULL: none known */
  celslm_event wait;   /* until it is ready */
  int64_t known;       /* tokens that have pieces */
  int64_t under_way;   /* pieces that have not arrived */
  uint64_t held;       /* B that have, and wait for blocks */
  bool leaving, waiting, prefilled, decoding, lost;
  int decode;               /* site */
  double sent, reserved;    /* B in pieces; B there for them, 0: none yet */
  handover *before, *after; /* while it waits for room */
  bool queued;
};

static buffer *buffer_of(const handover *h) {
  return &((options *)h->r->options)->buffers[h->decode];
}

/* B of all its KV. */
static double whole_of(const handover *h, int64_t tokens) {
  const options *o = h->r->options;
  const celslm_model *m = h->r->system->sites[h->decode].model;
  return ceil((double)m->layers * celslm_codec_layer_bytes(&o->codec, m, (double)tokens));
}

static bool reserve(handover *h) {
  buffer *b = buffer_of(h);
  double bytes = fmax(h->sent, whole_of(h, h->r->job.prompt));
  if (b->reserved + bytes > ((options *)h->r->options)->most) return false;
  b->reserved += h->reserved = bytes;
  return true;
}

static void queue(handover *h) {
  buffer *b = buffer_of(h);
  h->queued = true;
  h->before = b->last;
  *(b->last ? &b->last->after : &b->first) = h;
  b->last = h;
}

static void unqueue(handover *h) {
  buffer *b = buffer_of(h);
  h->queued = false;
  *(h->before ? &h->before->after : &b->first) = h->after;
  *(h->after ? &h->after->before : &b->last) = h->before;
  h->before = h->after = NULL;
}

/* Whether its KV may leave; if not, it is told when it may. */
static bool has_room(handover *h) {
  if (h->reserved > 0) return true;
  if (!h->queued && !buffer_of(h)->first && reserve(h)) return true;
  if (!h->queued) queue(h);
  return false;
}

/* What waited of its KV does so no more: it is in blocks, or of no use. Others have room then. */
static void release(handover *h) {
  buffer *b = buffer_of(h);
  h->r->system->sites[h->decode].waiting_kv -= h->held;
  h->held = 0;
  if (h->queued) unqueue(h);
  b->reserved -= h->reserved;
  h->reserved = 0;
  for (handover *first; (first = b->first) && reserve(first);) {
    unqueue(first);
    first->waiting = true;
    celslm_net_at(h->r->system->net, &first->wait, celslm_net_now(h->r->system->net));
  }
}

static void forget(celslm_request *r) {
  handover *h = r->handover;
  if (!h) return;
  release(h);
  celslm_net_cancel(r->system->net, &h->wait);
  for (piece *p = h->first, *next; p; p = next) {
    next = p->next;
    free(p);
  }
  free(h);
}

static void decoded(celslm_job *job) {
  handover *h = job->self;
  celslm_request *r = h->r;
  r->job.last_token = job->last_token;
  r->job.preemptions += job->preemptions;
  if (job->itl_max > r->job.itl_max) r->job.itl_max = job->itl_max;
  celslm_answered(r);
}

/* The KV is lost, or the host that decodes: nothing more can be produced. */
static void give_up(handover *h) {
  celslm_request *r = h->r;
  release(h);
  r->job.owner = NULL;
  celslm_drop(r, CELSLM_REASON_HOST);
}

static void decode_aborted(celslm_job *job) {
  give_up(job->self);
}

static void taken(celslm_job *job) {
  release(job->self);
}

static const celslm_job_owner decode_owner = {
    .done = decoded, .aborted = decode_aborted, .taken = taken};

/* All its KV is there. */
static void decode(handover *h) {
  celslm_request *r = h->r;
  r->site = h->decode;
  h->job = (celslm_job){.id = r->id,
                        .prompt = r->job.prompt,
                        .output = r->output,
                        .cls = r->job.cls,
                        .tenant = r->job.tenant,
                        .priority = r->job.priority,
                        .predicted = r->job.predicted,
                        .deadline = r->job.deadline,
                        .content = r->job.content,
                        .given = true,
                        .first_token = r->job.first_token,
                        .last_token = r->job.last_token,
                        .owner = &decode_owner,
                        .self = h};
  h->decoding = true;
  if (r->system->sites[h->decode].down) {
    give_up(h);
    return;
  }
  if (celslm_engine_submit(r->system->sites[r->site].engine, &h->job) != CELSLM_SUBMITTED) {
    release(h);
    celslm_reject(r);
  }
}

static void go_on(handover *h) {
  bool all_left = h->prefilled && !h->next && !h->leaving;
  if (all_left && h->r->job.state == CELSLM_JOB_KEPT)
    celslm_engine_let_go(h->r->system->sites[h->r->site].engine, &h->r->job);
  if (!all_left || h->under_way || h->decoding) return;
  if (h->lost)
    give_up(h);
  else
    decode(h);
}

static void leave(handover *h);

static void piece_left(void *self) {
  handover *h = ((piece *)self)->handover;
  h->leaving = false;
  leave(h);
}

static void piece_arrived(void *self) {
  const piece *p = self;
  handover *h = p->handover;
  celslm_site *to = &h->r->system->sites[h->decode];
  if (to->on_transfer) to->on_transfer(to->self, &p->transfer);
  h->held += p->transfer.bytes;
  to->waiting_kv += p->transfer.bytes;
  if (to->waiting_kv > to->waiting_kv_peak) to->waiting_kv_peak = to->waiting_kv;
  h->under_way--;
  go_on(h);
}

/* One of the hosts has crashed: what has not left stays. */
static void lose_rest(handover *h) {
  h->lost = true;
  for (piece *p = h->next; p; p = p->next) h->under_way--;
  h->next = NULL;
  go_on(h);
}

static void piece_lost(void *self) {
  handover *h = ((piece *)self)->handover;
  h->leaving = false;
  h->under_way--;
  lose_rest(h);
}

static void prefill_aborted(celslm_job *job) {
  handover *h = ((celslm_request *)job->self)->handover;
  h->prefilled = true; /* as far as it ever will be */
  lose_rest(h);
}

static void ready(void *self) {
  handover *h = self;
  h->waiting = false;
  leave(h);
}

/* Sends the next piece if it is ready; one at a time. */
static void leave(handover *h) {
  celslm_net *net = h->r->system->net;
  piece *p = h->next;
  if (p && !h->leaving && !h->waiting && p->ready > celslm_net_now(net)) {
    h->waiting = true;
    celslm_net_at(net, &h->wait, p->ready);
  } else if (p && !h->leaving && !h->waiting && has_room(h)) {
    h->next = p->next;
    h->leaving = true;
    celslm_net_send(net, &p->transfer);
    return;
  }
  go_on(h);
}

static void add_piece(handover *h, double bytes, celslm_ns when) {
  celslm_request *r = h->r;
  piece *p = celslm_alloc(1, sizeof *p);
  *p = (piece){.ready = when,
               .handover = h,
               .transfer = {.from = r->system->sites[r->site].host,
                            .to = r->system->sites[h->decode].host,
                            .bytes = (uint64_t)ceil(bytes),
                            .traffic = CELSLM_KV,
                            .sent = piece_left,
                            .delivered = piece_arrived,
                            .failed = piece_lost,
                            .self = p}};
  *(h->last ? &h->last->next : &h->first) = p;
  h->last = p;
  if (!h->next) h->next = p;
  h->under_way++;
  h->sent += ceil(bytes);
  if (h->reserved > 0 && h->sent > h->reserved) { /* pieces are rounded up to whole bytes */
    buffer_of(h)->reserved += h->sent - h->reserved;
    h->reserved = h->sent;
  }
  r->kv_bytes += ceil(bytes);
}

static void chunk(celslm_job *job, celslm_ns when) {
  celslm_request *r = job->self;
  const options *o = r->options;
  handover *h = r->handover;
  const celslm_model *m = r->system->sites[r->site].model;
  celslm_ns now = celslm_net_now(r->system->net);
  int64_t upto = job->computed + job->chunk, tokens = upto - h->known;
  if (r->output == 1 || !o->layers || tokens <= 0 || h->lost)
    return; /* computed again: it is there */
  h->known = upto;
  double layer = celslm_codec_layer_bytes(&o->codec, m, (double)tokens);
  if (upto < job->need)
    add_piece(h, (double)m->layers * layer, when);
  else
    for (int64_t l = 1; l <= m->layers; l++)
      add_piece(h, layer, now + (when - now) * l / m->layers);
  leave(h);
}

static void prefilled(celslm_job *job) {
  celslm_request *r = job->self;
  const options *o = r->options;
  handover *h = r->handover;
  const celslm_site *site = &r->system->sites[r->site];
  if (r->output == 1) {
    celslm_engine_let_go(site->engine, job);
    celslm_answered(r);
    return;
  }
  h->prefilled = true;
  if (!o->layers)
    add_piece(h,
              (double)site->model->layers *
                  celslm_codec_layer_bytes(&o->codec, site->model, job->need),
              celslm_net_now(r->system->net));
  leave(h);
}

static const celslm_job_owner prefill_owner = {.first_token = celslm_first_token,
                                               .done = prefilled,
                                               .aborted = prefill_aborted,
                                               .chunk = chunk};

static void uploaded(celslm_request *r) {
  const celslm_scenario *s = r->system->scenario;
  int64_t context = r->context < 0 ? 0 : s->contexts[r->context].tokens;
  options *o = r->options;
  handover *h = celslm_alloc(1, sizeof *h);
  *h = (handover){.r = r,
                  .decode = o->decode ? choose(r->system, o, o->decode, o->n_decode, &o->turn_back)
                                      : r->system->users[r->user].site,
                  .wait = {.fire = ready, .self = h, .cls = CELSLM_AT_TIMER, .id = r->id}};
  r->handover = h;
  if (r->output > 1 && whole_of(h, r->prompt + context) > o->most) {
    celslm_reject(r); /* it would never have room */
    return;
  }
  r->source = r->context < 0 ? CELSLM_CONTEXT_NONE : CELSLM_CONTEXT_RECOMPUTED;
  celslm_serve_prefill(r, r->prompt + (int32_t)context, &prefill_owner);
}

static void arrive(const void *unused, celslm_request *r) {
  (void)unused;
  options *o = r->options;
  celslm_upload(r, choose(r->system, o, o->prefill, o->n_prefill, &o->turn), uploaded);
}

const celslm_strategy celslm_strategy_disaggregated = {
    .name = "disaggregated",
    .summary = "one engine prefills, another decodes; KV crosses the network whole or by layers",
    .paper = "arXiv 2401.09670, 2311.18677",
    .options_size = sizeof(options),
    .configure = configure,
    .clear = clear,
    .arrive = arrive,
    .forget = forget,
};
