/* short_at_edge.c - short prompts stay at the edge, long ones go to the cloud. The template of
 * docs/new-strategy.md: a whole strategy, small enough to start from.
 *
 * Say here what it models, whose idea it is (the paper), what you simplified, and what is your own.
 */
#include "strategy/at_site.h"
#include "strategy/engines.h"

typedef struct options { /* what its element says; zeroed before configure */
  celslm_at_site_options at;
  int64_t longest; /* tokens of a prompt that stays at the edge */
} options;

/* Reads <short-at-edge .../>, and refuses a scenario that it cannot run in. */
static bool configure(void *to, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  options *o = to;
  return celslm_at_site_configure(&o->at, s, e, err) && celslm_needs_edges(s, e, err) &&
         celslm_needs_cloud(s, e, err) &&
         celslm_element_integer(e, "longest", 0, 1 << 24, INT64_MIN, &o->longest, err);
}

/* A user has sent a request: take it somewhere. */
static void arrive(const void *options_, celslm_request *r) {
  const options *o = options_;
  const celslm_system *s = r->system;
  celslm_at_site(&o->at, r, r->prompt <= o->longest ? s->users[r->user].site : s->cloud);
}

const celslm_strategy celslm_strategy_short_at_edge = {
    .name = "short-at-edge",
    .summary = "short prompts stay at the edge, long ones go to the cloud",
    .paper = "a template",
    .options_size = sizeof(options),
    .configure = configure,
    .arrive = arrive,
};
