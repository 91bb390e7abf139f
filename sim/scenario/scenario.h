/* scenario.h - an experiment as plain structs: what `scenarios/NAME.xml` says, checked.
 *
 * celslm_scenario_load reads the XML (libxml2; validated against scenario.xsd, which is built into
 * the program), the platform, the models and the profiles it names. What it returns is complete and
 * consistent: every name that is used exists, every quantity is in SI units and in its range.
 * Parts that are open to new kinds stay elements (element.h) for the module that knows them.
 * Nothing here knows SimGrid or the clock. */
#ifndef CELSLM_SCENARIO_SCENARIO_H
#define CELSLM_SCENARIO_SCENARIO_H

#include "scenario/correctness.h"
#include "scenario/element.h"
#include "scenario/faults.h"
#include "scenario/model.h"
#include "scenario/platform.h"
#include "scenario/radio.h"
#include "scenario/upkeep.h"

/* Who says how many layers each host of a pipeline has. */
typedef enum celslm_placing {
  CELSLM_PLACE_EVEN,
  CELSLM_PLACE_LATENCY,
  CELSLM_PLACE_THROUGHPUT
} celslm_placing;

/* Where contexts go that memory has no room for. */
typedef struct celslm_tier_config {
  double capacity, read, write; /* B, B/s; capacity 0: there is none */
} celslm_tier_config;

/* One model served on one host. */
typedef struct celslm_engine_config {
  char *name;
  int host;  /* index in platform->hosts */
  int model; /* index in scenario->models */
  celslm_dtype weights, kv; /* precision of the weights and of the KV cache */
  int64_t max_num_batched_tokens; /* token budget of one iteration; >= max_num_seqs */
  int64_t max_num_seqs;
  int64_t block_size;    /* tokens of one KV block */
  int64_t kv_blocks;     /* number of KV blocks; 0: from memory_share */
  double memory_share;   /* share of the host's memory that the engine may use, 0..1 */
  double context_memory; /* B of it kept for shared contexts */
  int tensor_parallel;   /* accelerators of the host that it is split over */
  int accelerators_used; /* of the host, by all engines there together */
  int *stages, n_stages; /* hosts that its layers are split over, in order; the first is `host` */
  celslm_placing placement; /* serve/placement.h; EVEN also where stage_layers are given */
  int64_t *stage_layers;    /* by stage; NULL: as even as can be, the first ones have one more */
  bool prefix_caching;   /* full KV blocks are found again by what is in them */
  bool chunk_admission;  /* a request needs blocks for its first chunk only, not its whole prompt */
  double watermark;      /* share of the KV blocks that an admission leaves free */
  int swap_host;         /* where preempted sequences are swapped to; -1: they are recomputed */
  double swap_memory;    /* B there */
  int64_t max_model_len; /* most tokens of prompt and output; 0: what fits */
  int64_t max_queue;     /* most requests waiting, more are rejected; 0: no limit; -1: nobody waits */
  double rate_limit;     /* requests per s that are let in; 0: no limit */
  int64_t rate_burst;    /* that may come at once, >= 1 */
  bool rate_rejects;     /* what exceeds the limit is rejected; else it waits for its turn */
  double step_overhead;  /* s per iteration; NaN: the profile's */
  double sequence_overhead; /* s per sequence and iteration; NaN: the profile's */
  int64_t codec_cores;      /* that encode, decode and map context KV */
  double codec_rate;        /* B/s of 16-bit KV that one of them codes; NaN: the profile's */
  double client_overhead;   /* s from arrival to the scheduler's queue (HTTP, tokenizer) */
  double fixed_iteration;   /* s; NaN: iterations cost what the op list says. Otherwise every
                               iteration takes exactly this long: for queueing-theory checks */
  const celslm_element *scheduler; /* child of <scheduler>; NULL: first come, first served */
  const celslm_element *cache; /* <cache>, for its policies; NULL: the defaults (share/cache.h) */
  bool cache_partial;          /* contexts that go lose their deepest layers first */
  celslm_tier_config host_memory, disk; /* where they go, in this order */
  const char *file;
  int line;
} celslm_engine_config;

/* Long shared prompts. */
typedef struct celslm_context_config {
  char *name;
  int64_t tokens;
} celslm_context_config;

/* Requests of one kind: who sends them and how urgent they are. */
typedef struct celslm_class_config {
  char *name;       /* no two classes of a scenario share one */
  int tenant;       /* index in scenario->tenants */
  int32_t priority; /* lower is more urgent */
  double deadline;  /* s from arrival to the last token; INFINITY: none */
  double share;     /* of its workload's sessions, in proportion to those of its other classes */
} celslm_class_config;

typedef struct celslm_workload_config {
  const celslm_element *arrivals;   /* child of <arrivals>: the process. NULL if a trace is replayed */
  const celslm_element *prompt;     /* child of <prompt>: distribution of user prompt tokens */
  const celslm_element *output;     /* child of <output> */
  const celslm_element *lengths;    /* <lengths>: prompt and output together; NULL: separate */
  const celslm_element *sessions;   /* <sessions>; NULL: every request stands alone */
  const celslm_element *popularity; /* child of <popularity>: which context; NULL: none has one */
  const celslm_element *trace;      /* <trace file= format= ...>; NULL: none */
  int64_t requests;                 /* stop after so many; INT64_MAX: until the horizon */
  int64_t block_size;               /* tokens of one block of its prefix identities */
  double prediction_error; /* sigma of the logarithm of predicted over true output length; 0: exact */
  int first_class, n_classes; /* in scenario->classes; at least one */
} celslm_workload_config;

typedef struct celslm_strategy_config {
  char *label;                    /* unique; default: the element's name */
  const celslm_element *element;  /* <cloud-only .../>, <ce-lslm .../> ... */
} celslm_strategy_config;

typedef struct celslm_slo_config {
  double ttft, tpot, e2e; /* s; INFINITY: no objective */
} celslm_slo_config;

typedef struct celslm_results_config {
  double sample;                 /* s between samples of the time series; 0: none */
  double timeline_from, timeline_to; /* s: window in which activities are recorded one by one */
  double warmup;                 /* s cut off at the start for the summary */
  bool iterations;               /* every iteration of every engine, exact inter-token times */
  bool trajectory;               /* every step of every moving user */
} celslm_results_config;

typedef struct celslm_scenario {
  char *file;
  char *name;
  char *text;      /* the XML after includes and --set, for the provenance */
  uint64_t seed;
  double horizon;  /* s; INFINITY: until the last request has ended */
  celslm_platform *platform;
  bool platform_lent; /* by the options */
  celslm_model *models;
  int n_models;
  celslm_engine_config *engines;
  int n_engines;
  celslm_context_config *contexts;
  int n_contexts;
  double context_changes; /* of each of them, per s */
  celslm_radio_config radio;
  celslm_workload_config *workloads; /* at least one; their requests are mixed */
  int n_workloads;
  celslm_class_config *classes; /* of all workloads */
  int n_classes;
  char **tenants; /* names, in order of their first class */
  int n_tenants;
  celslm_strategy_config *strategies; /* several: a comparison, each run by itself on the same load */
  int n_strategies;
  celslm_correctness_config correctness;
  celslm_faults_config faults;
  celslm_slo_config slo;
  celslm_prices_config prices;
  celslm_results_config results;
  bool execute;          /* compute="execute": every model has a checkpoint */
  char *execution_text;  /* file that tokens come from; NULL: not to be executed */
  char *execution_map;   /* file; NULL: none */
  const celslm_element *sweep; /* NULL: none; its <axis> children are executed by `celslm sweep` */
  celslm_element *root;        /* owns every element above */
} celslm_scenario;

/* "XPath=value", applied in order after includes; "platform:XPath=value" changes the platform. */
#define CELSLM_SET_PLATFORM "platform:"

typedef struct celslm_scenario_options {
  const char *const *set;
  int n_set;
  const uint64_t *seed; /* instead of the one written; NULL: that one */
  celslm_platform *platform; /* taken instead of reading its file again, if the scenario names that
                                file and `set` does not change it; it stays the caller's; or NULL */
} celslm_scenario_options;

/* A scenario's document, its files read, that many scenarios can be made of by setting attributes. */
typedef struct celslm_draft celslm_draft;
celslm_draft *celslm_draft_open(const char *file, celslm_error *err); /* NULL on failure */
/* Takes the draft: processes are forked from one that has it open. */
celslm_scenario *celslm_draft_finish(celslm_draft *d, const celslm_scenario_options *options,
                                     celslm_error *err);
void celslm_draft_free(celslm_draft *d);

/* NULL on failure. `options` may be NULL. The caller frees the scenario (and with it the platform). */
celslm_scenario *celslm_scenario_load(const char *file, const celslm_scenario_options *options,
                                      celslm_error *err);
/* The same from text; relative names in it are relative to `base`, a file name that need not exist. */
celslm_scenario *celslm_scenario_parse(const char *text, const char *base,
                                       const celslm_scenario_options *options, celslm_error *err);
void celslm_scenario_free(celslm_scenario *s);

/* Layers of stage k, of so many in all. */
static inline int64_t celslm_stage_layers(const celslm_engine_config *c, int64_t layers, int k) {
  if (c->stage_layers) return c->stage_layers[k];
  return layers / c->n_stages + (k < layers % c->n_stages);
}

/* B of memory that an engine may use on the host of a stage (0: its own host); of its weights; of
 * one of its KV blocks: both of all stages together. */
double celslm_engine_memory(const celslm_scenario *s, const celslm_engine_config *c, int stage);
double celslm_engine_weight_bytes(const celslm_scenario *s, const celslm_engine_config *c);
double celslm_engine_block_bytes(const celslm_scenario *s, const celslm_engine_config *c);

#endif
