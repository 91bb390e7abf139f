/* request.c - the columns of every table of a run: what each field means and in which unit.
 *
 * The descriptions are written into the results file and are what a reader has there. A column
 * whose names are known only at run time has none here; 0xffffffff in such a column means "none".
 */
#include "record/request.h"
#include "record/columns.h"

static const char strategy[] = "which strategy served this run";

/* ---- /requests ------------------------------------------------------------------------------- */

static const char *const ends[] = {[CELSLM_COMPLETED] = "completed",
                                   [CELSLM_REJECTED] = "rejected",
                                   [CELSLM_DROPPED] = "dropped",
                                   [CELSLM_IN_FLIGHT] = "in flight",
                                   NULL};

static const char *const sources[] = {
    [CELSLM_CONTEXT_NONE] = "none",     [CELSLM_CONTEXT_RECOMPUTED] = "recomputed",
    [CELSLM_CONTEXT_HIT] = "hit",       [CELSLM_CONTEXT_FETCHED] = "fetched",
    [CELSLM_CONTEXT_JOINED] = "joined", NULL};

static const char *const verdicts[] = {[CELSLM_WRONG] = "wrong",
                                       [CELSLM_RIGHT] = "right",
                                       [CELSLM_NOT_MEASURED] = "not measured",
                                       NULL};

#define REQUEST(field, units, description) COLUMN(celslm_request_row, field, units, description)
const celslm_column celslm_request_columns[] = {
    REQUEST(strategy, "1", strategy),
    NAMED(celslm_request_row, end, "1", ends,
          "how it ended: completed; rejected at arrival; dropped by a fault; or in flight when the "
          "run ended"),
    NAMED(celslm_request_row, context_source, "1", sources,
          "where the KV of its shared context came from: it has none; recomputed with its own "
          "prefill; a hit in the engine's store; fetched for it; joined to a fetch another began"),
    NAMED(celslm_request_row, correct, "1", verdicts,
          "whether its answer is right, by the scenario's <correctness> of the model that gave it; "
          "not measured without one, or without an answer"),
    REQUEST(id, "1",
            "number of the request in order of arrival; where users wait for answers (sessions, "
            "closed loops) session and turn tell it in every strategy"),
    REQUEST(ue, "1", "user equipment that sent it"),
    REQUEST(cell, "1", "radio cell of the user equipment; 0xffffffff: none"),
    REQUEST(engine, "1", "engine that generated its tokens; 0xffffffff: it never reached one"),
    REQUEST(context, "1", "shared context it builds on; 0xffffffff: none"),
    REQUEST(class, "1", "class of requests it is of"),
    REQUEST(tenant, "1", "tenant who pays for it"),
    REQUEST(session, "1", "session it belongs to; a request without turns is one by itself"),
    REQUEST(turn, "1", "turn of the session, from 0"),
    REQUEST(prompt_tokens, "token",
            "length of the user's private prompt; in a session, with all that was said before"),
    REQUEST(context_tokens, "token", "length of the shared context"),
    REQUEST(output_tokens, "token", "tokens generated"),
    REQUEST(preemptions, "1", "times its KV blocks were taken away and computed again"),
    REQUEST(cached_tokens, "token", "tokens to prefill whose KV was in the engine's prefix cache"),
    REQUEST(arrival, "s", "when the user sent it"),
    REQUEST(queued, "s", "when its whole prompt was in the engine's queue"),
    REQUEST(scheduled, "s", "when the engine first computed for it"),
    REQUEST(first_token, "s", "when the user had the first token"),
    REQUEST(last_token, "s", "when the user had the last token"),
    REQUEST(deadline, "s", "by when its class wants the last token; NaN: no deadline"),
    REQUEST(ttft, "s",
            "time to first token = first_token - arrival = t_up + t_wait + t_cloud + t_comm + "
            "t_edge - t_hidden + t_down"),
    REQUEST(tpot, "s", "time per output token after the first; NaN with fewer than two tokens"),
    REQUEST(e2e, "s", "end-to-end latency = last_token - arrival"),
    REQUEST(itl_max, "s", "longest pause between two of its tokens"),
    REQUEST(queueing, "s", "queueing time = scheduled - queued"),
    REQUEST(normalised, "s", "normalised latency = e2e / output_tokens"),
    REQUEST(t_up, "s", "part of ttft: the prompt on its way to the engine"),
    REQUEST(t_wait, "s", "part of ttft: in the engine's queue"),
    REQUEST(t_cloud, "s", "part of ttft: computing in the cloud (T_com_C)"),
    REQUEST(t_comm, "s", "part of ttft: moving the context's KV (T_comm)"),
    REQUEST(t_edge, "s", "part of ttft: computing at the edge (T_com_E)"),
    REQUEST(t_hidden, "s",
            "how much of t_cloud, t_comm and t_edge ran at the same time: counted twice in their "
            "sum, hence subtracted in ttft"),
    REQUEST(t_down, "s", "part of ttft: the first token on its way to the user"),
    REQUEST(user_bytes_to_cloud, "B", "user data of this request that reached the cloud"),
    REQUEST(kv_bytes, "B", "KV moved over the network for this request"),
};
const size_t celslm_request_n_columns = LENGTH(celslm_request_columns);

/* ---- time series and totals ------------------------------------------------------------------ */

#define ENGINE(field, units, description) COLUMN(celslm_engine_row, field, units, description)
const celslm_column celslm_engine_columns[] = {
    ENGINE(strategy, "1", strategy),
    ENGINE(engine, "1", "engine"),
    ENGINE(time, "s", "when the sample was taken"),
    ENGINE(running, "1", "requests in its batch"),
    ENGINE(waiting, "1", "requests in its queue"),
    ENGINE(kv_blocks_used, "block", "KV blocks in use"),
    ENGINE(kv_blocks, "block", "KV blocks it has"),
    ENGINE(context_bytes, "B", "KV of shared contexts in its store"),
    ENGINE(host_bytes, "B", "KV of shared contexts in host memory"),
    ENGINE(disk_bytes, "B", "KV of shared contexts on the host's disk"),
    ENGINE(busy, "s", "time spent computing so far"),
    ENGINE(utilisation, "1",
           "share of the time since the sample before in which it was computing; NaN in the first "
           "sample"),
    ENGINE(iterations, "1", "iterations so far"),
    ENGINE(prompt_tokens, "token", "prompt and context tokens computed so far"),
    ENGINE(output_tokens, "token", "tokens generated so far"),
    ENGINE(prefix_asked, "token", "tokens to prefill of admitted requests so far"),
    ENGINE(prefix_found, "token", "of them found in the prefix cache"),
    ENGINE(swaps_out, "1", "sequences swapped out so far"),
    ENGINE(swaps_in, "1", "sequences swapped in again so far"),
};
const size_t celslm_engine_n_columns = LENGTH(celslm_engine_columns);

const char *const celslm_reason_names[] = {"none", "signal", "link", "host", NULL};

#define LINK(field, units, description) COLUMN(celslm_link_row, field, units, description)
const celslm_column celslm_link_columns[] = {
    LINK(strategy, "1", strategy),
    LINK(traffic, "1", "class of traffic"),
    LINK(link, "1", "link of the platform"),
    LINK(bytes, "B", "bytes of this class sent over it in the whole run"),
    LINK(utilisation, "1", "those bytes over what the link could have carried in the run"),
    LINK(energy, "J", "for those bytes, at the link's energy per byte"),
    LINK(cost, "cent", "for those bytes: the link's price, or else electricity"),
};
const size_t celslm_link_n_columns = LENGTH(celslm_link_columns);

#define CELL(field, units, description) COLUMN(celslm_cell_row, field, units, description)
const celslm_column celslm_cell_columns[] = {
    CELL(strategy, "1", strategy),
    CELL(cell, "1", "radio cell"),
    CELL(bytes_up, "B", "bytes from the users in the whole run"),
    CELL(bytes_down, "B", "bytes to the users in the whole run"),
    CELL(airtime_up, "s", "time in which the air was in use towards the base station"),
    CELL(airtime_down, "s", "time in which the air was in use towards the users"),
    CELL(energy_up, "J",
         "drawn by the devices' power amplifiers: power sent over the efficiency, in the uplink's "
         "share of that time"),
    CELL(energy_down, "J", "the same of the base station"),
};
const size_t celslm_cell_n_columns = LENGTH(celslm_cell_columns);

#define HOST(field, units, description) COLUMN(celslm_host_row, field, units, description)
const celslm_column celslm_host_columns[] = {
    HOST(strategy, "1", strategy),
    HOST(host, "1", "host of the platform that serves a model"),
    HOST(busy, "s", "time in which its engines computed, at most the duration"),
    HOST(energy_idle, "J", "its accelerators' idle power over the duration"),
    HOST(energy_busy, "J", "what they drew above it while busy, in their performance state"),
    HOST(cost, "cent", "rent, or else electricity"),
};
const size_t celslm_host_n_columns = LENGTH(celslm_host_columns);

#define CONTEXT(field, units, description) COLUMN(celslm_context_row, field, units, description)
const celslm_column celslm_context_columns[] = {
    CONTEXT(strategy, "1", strategy),
    CONTEXT(engine, "1", "engine whose store it is"),
    CONTEXT(context, "1", "shared context"),
    CONTEXT(tokens, "token", "length of the context"),
    CONTEXT(requests, "1", "requests that wanted it there"),
    CONTEXT(hits, "1", "requests that found its KV in the store"),
    CONTEXT(fetches, "1", "times its KV was fetched"),
    CONTEXT(joins, "1", "requests that waited for a fetch another had begun"),
    CONTEXT(evictions, "1", "times its KV was put out to make room"),
    CONTEXT(refused, "1", "times the store's admission did not let it in"),
    CONTEXT(partial_hits, "1", "loads that found its first layers still there"),
    CONTEXT(host_writes, "1", "times it was copied to host memory"),
    CONTEXT(spills, "1", "times it was written to the host's disk"),
    CONTEXT(host_loads, "1", "loads that took layers from host memory"),
    CONTEXT(disk_loads, "1", "loads that took layers from the host's disk"),
    CONTEXT(host_bytes, "B", "KV read from host memory"),
    CONTEXT(disk_bytes, "B", "KV read from the host's disk"),
    CONTEXT(outdated, "1", "times what it held was dropped because the context had changed"),
    CONTEXT(replans, "1", "loads whose rest was planned anew on the way"),
    CONTEXT(bytes_fetched, "B", "KV moved to the engine over the network"),
    CONTEXT(bytes, "B", "its KV, when all of it is in the store"),
    CONTEXT(capacity, "B", "the engine's context_memory"),
};
const size_t celslm_context_n_columns = LENGTH(celslm_context_columns);

/* ---- /timeline and /iterations --------------------------------------------------------------- */

static const char *const kinds[] = {
    [CELSLM_SPAN_PREFILL] = "prefill", [CELSLM_SPAN_DECODE] = "decode",
    [CELSLM_SPAN_MIXED] = "mixed",     [CELSLM_SPAN_STREAM] = "stream",
    [CELSLM_SPAN_KV] = "kv",           [CELSLM_SPAN_PROMPT] = "prompt",
    [CELSLM_SPAN_TOKENS] = "tokens",   NULL};

static const char *const places[] = {"engine", "route", "cell", NULL};

#define SPAN(field, units, description) COLUMN(celslm_span_row, field, units, description)
const celslm_column celslm_span_columns[] = {
    SPAN(strategy, "1", strategy),
    NAMED(celslm_span_row, place, "1", places, "what was busy: an engine, a route or a cell"),
    NAMED(celslm_span_row, kind, "1", kinds,
          "with what: an engine with prefill, decode, both (mixed) or layers that stream in "
          "(stream); a route or a cell with KV, a prompt or tokens"),
    SPAN(index, "1",
         "which one: the engine (named as in /requests/engine), the host where the route ends (its "
         "names are here) or the cell (named as in /requests/cell)"),
    SPAN(request, "1", "for which request; 0xffffffff: for none or for many"),
    SPAN(begin, "s", "from when"),
    SPAN(end, "s", "until when"),
};
const size_t celslm_span_n_columns = LENGTH(celslm_span_columns);

#define ITERATION(field, units, description) COLUMN(celslm_iteration_row, field, units, description)
const celslm_column celslm_iteration_columns[] = {
    ITERATION(strategy, "1", strategy),
    ITERATION(engine, "1", "engine"),
    ITERATION(end, "s", "when the iteration ended"),
    ITERATION(duration, "s", "how long it took"),
    ITERATION(decodes, "1", "requests that got a token"),
    ITERATION(prefill_tokens, "token", "prompt and context tokens computed"),
};
const size_t celslm_iteration_n_columns = LENGTH(celslm_iteration_columns);

/* ---- /summary -------------------------------------------------------------------------------- */

/* Mean with its interval and three quantiles of one latency. */
#define LATENCY(row, of, text)                                                                     \
  COLUMN(row, of##_mean, "s", text ", mean of the requests completed after the warm-up"),          \
      COLUMN(row, of##_low, "s", text ", lower end of the mean's 95 % confidence interval"),       \
      COLUMN(row, of##_high, "s", text ", upper end of the mean's 95 % confidence interval"),      \
      COLUMN(row, of##_p50, "s", text ", median"),                                                 \
      COLUMN(row, of##_p95, "s", text ", 95th percentile"),                                        \
      COLUMN(row, of##_p99, "s", text ", 99th percentile")
#define LATENCIES(row)                                                                             \
  LATENCY(row, ttft, "time to first token"), LATENCY(row, tpot, "time per output token"),          \
      LATENCY(row, e2e, "end-to-end latency"), LATENCY(row, queueing, "queueing time"),            \
      LATENCY(row, normalised, "normalised latency")

#define CLASS(field, units, description) COLUMN(celslm_class_row, field, units, description)
const celslm_column celslm_class_columns[] = {
    CLASS(strategy, "1", strategy),
    CLASS(class, "1", "class of requests"),
    CLASS(tenant, "1", "tenant who pays for it"),
    CLASS(priority, "1", "its priority; lower is more urgent"),
    CLASS(arrived, "1", "requests that arrived"),
    CLASS(completed, "1", "requests that got all their tokens"),
    CLASS(rejected, "1", "requests turned away at arrival"),
    CLASS(dropped, "1", "requests lost to a fault"),
    CLASS(in_flight, "1", "requests unfinished when the run ended"),
    CLASS(preemptions, "1", "times a request's KV blocks were taken away"),
    CLASS(late, "1", "requests completed after the warm-up, but past their deadline"),
    CLASS(prompt_tokens, "token", "prompt tokens of the requests completed after the warm-up"),
    CLASS(output_tokens, "token", "tokens generated for the requests completed after the warm-up"),
    CLASS(served, "token/s", "those prompt and output tokens over the time after the warm-up"),
    CLASS(goodput, "1/s", "requests that met every objective over the time after the warm-up"),
    CLASS(slo_share, "1",
          "share of the requests completed after the warm-up that met every objective"),
    CLASS(quality, "1",
          "share of the answers completed after the warm-up that are right; NaN: not measured"),
    LATENCIES(celslm_class_row),
    CLASS(itl_p50, "s", "time between tokens, median over all tokens (from a sketch)"),
    CLASS(itl_p95, "s", "time between tokens, 95th percentile (from a sketch)"),
    CLASS(itl_p99, "s", "time between tokens, 99th percentile (from a sketch)"),
};
const size_t celslm_class_n_columns = LENGTH(celslm_class_columns);

#define SUMMARY(field, units, description) COLUMN(celslm_summary_row, field, units, description)
static const char *const layer_maps[] = {"none", "uniform", "measured", NULL};

const celslm_column celslm_summary_columns[] = {
    SUMMARY(strategy, "1", strategy),
    NAMED(celslm_summary_row, layer_map, "1", layer_maps,
          "how the layers of an edge's model are made of the cloud's: they are not, or it is the "
          "same model; stretched evenly (uniform); by measured similarities"),
    SUMMARY(arrived, "1", "requests that arrived"),
    SUMMARY(completed, "1", "requests that got all their tokens"),
    SUMMARY(rejected, "1", "requests turned away at arrival"),
    SUMMARY(dropped, "1", "requests lost to a fault"),
    SUMMARY(in_flight, "1", "requests unfinished when the run ended"),
    SUMMARY(duration, "s", "from 0 to the last event"),
    SUMMARY(throughput, "1/s", "completed requests over the duration"),
    SUMMARY(token_throughput, "token/s", "tokens generated over the duration"),
    SUMMARY(offered, "1/s", "requests that arrived over the duration"),
    SUMMARY(goodput, "1/s", "requests that met every objective over the time after the warm-up"),
    SUMMARY(slo_share, "1",
            "share of the requests completed after the warm-up that met every objective"),
    SUMMARY(quality, "1",
            "share of the answers completed after the warm-up that are right; NaN: not measured"),
    LATENCIES(celslm_summary_row),
    SUMMARY(itl_p50, "s", "time between tokens, median over all tokens (from a sketch)"),
    SUMMARY(itl_p95, "s", "time between tokens, 95th percentile (from a sketch)"),
    SUMMARY(itl_p99, "s", "time between tokens, 99th percentile (from a sketch)"),
    SUMMARY(wait_mean, "s", "mean of t_wait"),
    SUMMARY(up_mean, "s", "mean of t_up"),
    SUMMARY(cloud_mean, "s", "mean of t_cloud"),
    SUMMARY(comm_mean, "s", "mean of t_comm"),
    SUMMARY(edge_mean, "s", "mean of t_edge"),
    SUMMARY(hidden_mean, "s", "mean of t_hidden"),
    SUMMARY(down_mean, "s", "mean of t_down"),
    SUMMARY(hits, "1", "requests that found their context's KV in the engine's store"),
    SUMMARY(fetches, "1", "requests that began a fetch of their context's KV"),
    SUMMARY(host_loads, "1", "loads of contexts that took layers from host memory, in all engines"),
    SUMMARY(disk_loads, "1", "loads of contexts that took layers from a host's disk"),
    SUMMARY(joins, "1", "requests that joined a fetch another had begun"),
    SUMMARY(recomputed, "1", "requests that computed their context with their own prefill"),
    SUMMARY(preemptions, "1", "times a request's KV blocks were taken away"),
    SUMMARY(iterations, "1", "iterations of all engines"),
    SUMMARY(late, "1", "requests completed after the warm-up, but past their deadline"),
    SUMMARY(
        recovery, "s",
        "from the end of a fault until no more requests are present than usual, the longest; NaN: "
        "no fault, or not recovered"),
    SUMMARY(backlog, "1",
            "requests present at most from the first fault on, above what is usual; NaN: no fault"),
    SUMMARY(kv_waiting_peak, "B",
            "KV that came from another engine's prefill to be decoded and waited for blocks: the "
            "most at one engine"),
    SUMMARY(fairness, "1",
            "Jain's index of the tenants' served (see /classes, summed over a tenant's classes), "
            "over tenants with requests that arrived after the warm-up: 1 if all got the same, 1/n "
            "if one of n got all"),
    SUMMARY(utilisation, "1", "time spent computing over the duration, mean of all engines"),
    SUMMARY(running_mean, "1",
            "requests in the batches of all engines, mean of the samples after the warm-up; NaN "
            "without samples"),
    SUMMARY(waiting_mean, "1", "requests in the queues of all engines, likewise"),
    SUMMARY(kv_share_mean, "1", "KV blocks in use over those there are, likewise"),
    SUMMARY(user_bytes_to_cloud, "B", "user data that reached the cloud"),
    SUMMARY(kv_bytes, "B", "KV moved over the network"),
    SUMMARY(wan_bytes, "B", "all bytes to and from hosts in the cloud"),
    SUMMARY(energy, "J",
            "all hosts with engines: idle power over the duration, and what they draw above it "
            "while busy"),
    SUMMARY(energy_links, "J", "of the links that have an energy per byte, for what crossed them"),
    SUMMARY(energy_radio, "J", "drawn by power amplifiers of base stations and devices"),
    SUMMARY(energy_response, "J", "hosts, links and radio over the completed requests"),
    SUMMARY(cost, "cent",
            "rent, electricity and traffic at the scenario's prices; NaN: it has none"),
    SUMMARY(cpr, "cent", "cost per response: cost over the completed requests"),
    SUMMARY(pcr, "1/cent",
            "performance-cost ratio: U / cpr, U = a Q + (1 - a) slo_share, see accounting.md; NaN "
            "where "
            "quality or objectives are not known"),
};
const size_t celslm_summary_n_columns = LENGTH(celslm_summary_columns);
