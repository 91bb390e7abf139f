/* system.h - the running system that a strategy steers: users, cells, sites, and the life of a
 * request.
 *
 * A request arrives at a user's device. The strategy uploads its prompt to a site, serves it there
 * (with or without a shared context), and the system brings the tokens back to the user. Each step
 * is one call below and calls the strategy back when it is done.
 *
 * The way up is air, then wire (store and forward: prompts are small); the way down wire, then air.
 * The first and the last token travel as messages of their own; those in between, a packet per
 * iteration at most, are counted in the ledgers but do not compete for the air: their share of it
 * is reported, and is well below one percent in any load that text can make.
 *
 * A user may change its cell on the way, and with it its edge: what has a site stays with it, and
 * tokens follow the user from base station to base station. */
#ifndef CELSLM_STRATEGY_SYSTEM_H
#define CELSLM_STRATEGY_SYSTEM_H

#include "load/correctness.h"
#include "load/load.h"
#include "net/radio/ran.h"
#include "record/request.h"
#include "share/site.h"

typedef struct celslm_system celslm_system;

typedef struct celslm_user {
  int cell;        /* -1: sits at the edge host itself, which may hang on a cell */
  int site;        /* the engine at the edge that is nearest; -1: none */
  int host;        /* of that edge */
  int before;      /* the site that it had before its last change of edge; -1: none */
  int32_t context; /* of its last request; -1: none */
} celslm_user;

typedef struct celslm_request {
  celslm_job job;
  celslm_system *system;
  const struct celslm_strategy *strategy; /* serves it: the run's, or one of a mixture's */
  void *options;                          /* that strategy's */
  uint32_t id, user;
  int32_t context;        /* -1: none */
  int32_t site;           /* where it is served; -1: not decided */
  int32_t first_site;     /* where its first token was computed */
  int32_t prompt, output; /* the user's own tokens; tokens asked for */
  celslm_demand demand;   /* class, deadline, session, prefix ...: load/load.h */
  celslm_entry *entry;    /* of the context it stands on, pinned; NULL: none */
  celslm_ns arrival, uploaded, first_seen, last_seen;
  celslm_ns compute, hidden, loading_there, loading_here,
      moving;          /* ns until the first token: system.c, break_down */
  uint8_t source, end; /* celslm_context_source, celslm_end */
  uint8_t messages;    /* on their way to the user */
  uint8_t reason;      /* celslm_reason: why it will not be completed */
  bool done;           /* the engine has produced its last token, or will not */
  bool refused;        /* ... since it was rejected after its first token */
  bool failed_stream;  /* the context that it was to follow does not come */
  bool parked;         /* it has waited for the cloud to come back (outage.h) */
  bool between;        /* on its way from a site to another */
  bool held;           /* its tokens are kept back until the last one is there */
  uint8_t attempt;     /* sites that had it before */
  celslm_ns before_all, before_cloud, before_edge; /* ns at those sites; of them computing */
  uint64_t to_cloud;                               /* B of user data that reached a cloud host */
  double kv_bytes;                                 /* fetched on this request's behalf */
  uint8_t join;                                    /* celslm_join */
  celslm_waiter watcher;                           /* of its context's layers, before it joins */
  void (*then)(struct celslm_request *r);
  void (*without)(struct celslm_request *r); /* its context does not come; NULL: recompute it */
  celslm_waiter waiter;                      /* the strategy's, for waiting on an entry */
  void *handover;                            /* the strategy's */
  struct celslm_request *before, *after;     /* among the live ones */
} celslm_request;

/* How a request whose context is on its way shares its engine. */
typedef enum celslm_join {
  CELSLM_JOIN_LANE,  /* iterations carry its layers that are there; nobody waits */
  CELSLM_JOIN_STALL, /* the batch waits with it */
  CELSLM_JOIN_ADMIT  /* it joins when the rest of the fetch hides behind its compute */
} celslm_join;

/* A way to serve requests: one file each, behind this table. */
typedef struct celslm_strategy {
  const char *name;    /* the child of <strategy> */
  const char *summary; /* one line for `celslm list strategies` */
  const char *paper;   /* where the idea was published */
  unsigned long options_size;
  /* Reads <NAME .../> into options (zeroed) and checks that the scenario can be run so; that it has
   * the engines which the strategy needs was checked when it was read (scenario/workload.c). */
  bool (*configure)(void *options, const celslm_system *s, const celslm_element *e,
                    celslm_error *err);
  uint8_t (*layer_map)(const void *options); /* celslm_map_kind, for the summary; NULL: none */
  void (*clear)(void *options);              /* frees what options own; NULL: nothing */
  void (*arrive)(const void *options, celslm_request *r); /* the user has sent it */
  /* All tokens are there: true, they are the answer; false, the strategy has sent the request to
   * another site (celslm_forward), whose tokens will be. NULL: they are. */
  bool (*answered)(const void *options, celslm_request *r);
  /* Its site's engine does not take it: true, the strategy has sent it to another; false, it is
   * rejected. NULL: it is. */
  bool (*turned_away)(const void *options, celslm_request *r);
  void (*forget)(celslm_request *r); /* frees what it keeps for a request; NULL: nothing */
  void (*begin)(void *options, celslm_system *s); /* the run begins; NULL: nothing */
  /* A user has come to another edge (user->before was its site). NULL: nothing is to be done. */
  void (*moved)(const void *options, celslm_system *s, const celslm_user *user);
} celslm_strategy;

extern const celslm_strategy *const celslm_strategies[]; /* NULL-terminated */
/* The strategy of an element, its options read; NULL on failure. */
const celslm_strategy *celslm_strategy_open(const celslm_system *s, const celslm_element *e,
                                            void **options, celslm_error *err);
void celslm_strategy_close(const celslm_strategy *strategy, void *options);

struct celslm_system {
  const celslm_scenario *scenario;
  celslm_net *net;
  celslm_ns patience;              /* of messages whose way is cut: the scenario's */
  celslm_correctness *correctness; /* NULL: not declared */
  celslm_ran *ran;                 /* NULL: no radio; the first users are its users */
  struct celslm_aboard *aboard;    /* NULL: all hosts have wires */
  double *bytes_up, *bytes_down;   /* by cell */
  celslm_user *users;
  int n_users;
  celslm_site *sites;              /* by engine */
  int cloud;                       /* the first engine on a cloud host; -1: none */
  const celslm_strategy *strategy; /* the run's; a request has its own */
  void *options;
  void (*ended)(void *self, celslm_request *r); /* the world records it and frees it */
  void *self;
  void (*moved)(void *watcher, celslm_span_kind kind, int place, int index, uint32_t request,
                celslm_ns begin); /* NULL: nobody watches */
  void *watcher;
  struct message *spare;
};

/* Sends the user's prompt to a site; then(r) when it is complete there. */
void celslm_upload(celslm_request *r, int site, void (*then)(celslm_request *r));
/* Sends the prompt on from the request's site, whose engine has done with it, to another. What that
 * site took counts as waiting and computing before the first token; its tokens are no answer. */
void celslm_forward(celslm_request *r, int site, void (*then)(celslm_request *r));
int celslm_access_host(const celslm_request *r); /* that its user's traffic goes through */
/* Which models are right about it, and how hard it looks; the scenario must declare it. */
celslm_verdicts celslm_judge(const celslm_request *r);
/* Queues the request at its site's engine with `tokens` tokens to prefill, standing on `entry`
 * (NULL: on nothing; otherwise pinned for it until it ends), whose KV may still be on its way. */
void celslm_serve(celslm_request *r, int32_t tokens, celslm_entry *entry);
/* Ends a request whose prompt is lost on its way, or notes that its answer is. */
void celslm_drop(celslm_request *r, celslm_reason reason);
/* The same for its prefill and first token only; its KV blocks stay until celslm_engine_let_go.
 * `owner` is told; it calls celslm_first_token, and celslm_answered once all tokens are there, with
 * r->site where the last one comes from. */
void celslm_serve_prefill(celslm_request *r, int32_t tokens, const celslm_job_owner *owner);
/* The same for so many output tokens; nothing is kept unless r->job.goes_on was set. Strategies of
 * several jobs: `owner` sees to the rest. */
void celslm_serve_with(celslm_request *r, int32_t tokens, int32_t output,
                       const celslm_job_owner *owner);
void celslm_first_token(celslm_job *job); /* job->self is the request */
void celslm_answered(celslm_request *r);

/* Ends a request that will not be served (any further). */
void celslm_reject(celslm_request *r);

void celslm_system_free_messages(celslm_system *s);
/* The times of a request that has ended (or not: NaN), as its row. */
void celslm_request_row_of(const celslm_request *r, celslm_request_row *row);

#endif
