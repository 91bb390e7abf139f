/* request.h - the row that a request leaves behind in /requests, and the tables beside it. */
#ifndef CELSLM_RECORD_REQUEST_H
#define CELSLM_RECORD_REQUEST_H

#include "record/record.h"

typedef enum celslm_end {
  CELSLM_COMPLETED, CELSLM_REJECTED, CELSLM_DROPPED, CELSLM_IN_FLIGHT
} celslm_end;

/* Why a request was dropped: /outcomes. */
typedef enum celslm_reason {
  CELSLM_REASON_NONE,
  CELSLM_REASON_SIGNAL, /* no usable radio signal for too long */
  CELSLM_REASON_LINK,   /* a link on the way was down for too long */
  CELSLM_REASON_HOST    /* its host crashed, or was down */
} celslm_reason;
extern const char *const celslm_reason_names[]; /* NULL-terminated */

typedef enum celslm_context_source {
  CELSLM_CONTEXT_NONE,     /* the request has no shared context */
  CELSLM_CONTEXT_RECOMPUTED, /* computed as part of this request's own prefill */
  CELSLM_CONTEXT_HIT,      /* its KV was in the engine's store */
  CELSLM_CONTEXT_FETCHED,  /* this request started the fetch */
  CELSLM_CONTEXT_JOINED    /* waited for a fetch (or computation) that another had started */
} celslm_context_source;

typedef enum celslm_correct { CELSLM_WRONG, CELSLM_RIGHT, CELSLM_NOT_MEASURED } celslm_correct;

/* All times in s. The time to first token is the sum
 *   ttft = t_up + t_wait + t_cloud + t_comm + t_edge - t_hidden + t_down
 * where t_cloud, t_comm and t_edge are the paper's T_com_C, T_comm and T_com_E for this request and
 * t_hidden is how much of them overlapped. NaN where it does not apply or never happened. */
typedef struct celslm_request_row {
  uint8_t strategy, end, context_source, correct; /* correct: celslm_correct */
  uint32_t id, ue, cell, engine, context;
  uint32_t class, tenant, session, turn;
  uint32_t prompt_tokens, context_tokens, output_tokens; /* user prompt; shared context; generated */
  uint32_t preemptions, cached_tokens;
  double arrival, queued, scheduled, first_token, last_token; /* absolute; first/last as the user sees them;
                                                                 queued: prompt complete at the engine */
  double deadline; /* absolute, for the last token */
  double ttft, tpot, e2e, itl_max;
  double queueing, normalised;
  double t_up, t_wait, t_cloud, t_comm, t_edge, t_hidden, t_down;
  double user_bytes_to_cloud, kv_bytes; /* from the ledger: B of user data that reached the cloud, KV fetched for it */
} celslm_request_row;

extern const celslm_column celslm_request_columns[];
extern const size_t celslm_request_n_columns;

/* One row per sample and engine: /engines */
typedef struct celslm_engine_row {
  uint8_t strategy;
  uint32_t engine;
  double time;
  uint32_t running, waiting, kv_blocks_used, kv_blocks;
  double context_bytes, host_bytes, disk_bytes; /* B held in the context store, in the tiers below */
  double busy;          /* s computed so far */
  double utilisation;   /* share of the time since the last sample that was busy */
  int64_t iterations, prompt_tokens, output_tokens; /* so far */
  int64_t prefix_asked, prefix_found, swaps_out, swaps_in;
} celslm_engine_row;
extern const celslm_column celslm_engine_columns[];
extern const size_t celslm_engine_n_columns;

/* One row per link and traffic class at the end of the run: /links */
typedef struct celslm_link_row {
  uint8_t strategy, traffic;
  uint32_t link;
  double bytes;       /* sent over it by this class */
  double utilisation; /* bytes / (bandwidth x run time) */
  double energy, cost; /* J, cent */
} celslm_link_row;
extern const celslm_column celslm_link_columns[];
extern const size_t celslm_link_n_columns;

/* One row per cell at the end of the run: /cells */
typedef struct celslm_cell_row {
  uint8_t strategy;
  uint32_t cell;
  double bytes_up, bytes_down;
  double airtime_up, airtime_down; /* s the air was in use */
  double energy_up, energy_down;   /* J drawn by power amplifiers: of devices, of the base station */
} celslm_cell_row;
extern const celslm_column celslm_cell_columns[];
extern const size_t celslm_cell_n_columns;

/* One row per host that serves at the end of the run: /hosts */
typedef struct celslm_host_row {
  uint8_t strategy;
  uint32_t host;
  double busy;                     /* s */
  double energy_idle, energy_busy; /* J: for being on; more for being busy */
  double cost;                     /* cent: rent, or electricity */
} celslm_host_row;
extern const celslm_column celslm_host_columns[];
extern const size_t celslm_host_n_columns;

/* One row per context and engine: /contexts */
typedef struct celslm_context_row {
  uint8_t strategy;
  uint32_t engine, context, tokens;
  int64_t requests, hits, fetches, joins, evictions, refused, partial_hits;
  int64_t host_writes, spills, host_loads, disk_loads;
  double host_bytes, disk_bytes;
  int64_t outdated, replans;
  double bytes_fetched, bytes, capacity;
} celslm_context_row;
extern const celslm_column celslm_context_columns[];
extern const size_t celslm_context_n_columns;

/* What engines, links and cells did, span by span, inside the scenario's timeline window: /timeline */
typedef enum celslm_span_kind {
  CELSLM_SPAN_PREFILL, CELSLM_SPAN_DECODE, CELSLM_SPAN_MIXED, CELSLM_SPAN_STREAM, /* engines */
  CELSLM_SPAN_KV, CELSLM_SPAN_PROMPT, CELSLM_SPAN_TOKENS                            /* transfers */
} celslm_span_kind;
typedef struct celslm_span_row {
  uint8_t strategy, place, kind; /* place: 0 engine, 1 route (from host to host), 2 cell */
  uint32_t index;                /* engine, destination host or cell */
  uint32_t request;              /* 0xffffffff: none or many */
  double begin, end;
} celslm_span_row;
extern const celslm_column celslm_span_columns[];
extern const size_t celslm_span_n_columns;

/* Every iteration of every engine (results iterations="yes"): exact inter-token times. /iterations */
typedef struct celslm_iteration_row {
  uint8_t strategy;
  uint32_t engine;
  double end, duration;
  uint32_t decodes, prefill_tokens;
} celslm_iteration_row;
extern const celslm_column celslm_iteration_columns[];
extern const size_t celslm_iteration_n_columns;

/* A latency in a table of figures: mean, 95 % confidence interval of the mean, quantiles. */
#define CELSLM_LATENCY(of) of##_mean, of##_low, of##_high, of##_p50, of##_p95, of##_p99

/* One row per class of requests at the end of the run: /classes */
typedef struct celslm_class_row {
  uint8_t strategy;
  uint32_t class, tenant, priority;
  int64_t arrived, completed, rejected, dropped, in_flight, preemptions, late;
  int64_t prompt_tokens, output_tokens;
  double served, goodput, slo_share, quality;
  double CELSLM_LATENCY(ttft), CELSLM_LATENCY(tpot), CELSLM_LATENCY(e2e);
  double CELSLM_LATENCY(queueing), CELSLM_LATENCY(normalised);
  double itl_p50, itl_p95, itl_p99; /* from the sketch */
} celslm_class_row;
extern const celslm_column celslm_class_columns[];
extern const size_t celslm_class_n_columns;

/* One row per strategy: /summary */
typedef struct celslm_summary_row {
  uint8_t strategy, layer_map;
  int64_t arrived, completed, rejected, dropped, in_flight;
  double duration;   /* s from 0 to the last event */
  double throughput, token_throughput; /* completed requests, output tokens per s */
  double offered;    /* requests per s */
  double goodput;    /* requests per s that met every objective */
  double slo_share;  /* of the completed ones */
  double quality;    /* share of right answers; NaN: not measured */
  double CELSLM_LATENCY(ttft), CELSLM_LATENCY(tpot), CELSLM_LATENCY(e2e);
  double CELSLM_LATENCY(queueing), CELSLM_LATENCY(normalised);
  double itl_p50, itl_p95, itl_p99; /* from the sketch */
  double wait_mean, up_mean, cloud_mean, comm_mean, edge_mean, hidden_mean, down_mean;
  int64_t hits, fetches, host_loads, disk_loads, joins, recomputed, preemptions, iterations, late;
  double recovery, backlog; /* s; requests: recovery.h */
  double kv_waiting_peak;   /* B */
  double fairness;    /* Jain's index over tenants */
  double utilisation; /* of the engines */
  double running_mean, waiting_mean, kv_share_mean; /* of the samples */
  double user_bytes_to_cloud, kv_bytes, wan_bytes; /* B */
  double energy; /* J of all hosts that serve */
  double energy_links, energy_radio, energy_response; /* J; all three over the completed requests */
  double cost, cpr;    /* cent: of everything; per completed request */
  double pcr;          /* U / CPR, 1/cent */
} celslm_summary_row;
extern const celslm_column celslm_summary_columns[];
extern const size_t celslm_summary_n_columns;

#endif
