#include "strategy/relay.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

static void arrived(void *self) {
  celslm_relay *relay = self;
  relay->then(relay->request);
}

static void lost(void *self) {
  celslm_relay *relay = self;
  relay->lost(relay->request);
}

void celslm_relay_send(celslm_relay *relay, celslm_request *r, int from, int to, double bytes,
                       celslm_traffic traffic, bool users) {
  celslm_system *s = r->system;
  int host = s->sites[to].host;
  relay->request = r;
  relay->transfer =
      (celslm_transfer){.from = s->sites[from].host,
                        .to = host,
                        .bytes = (uint64_t)ceil(bytes + s->scenario->radio.packet_overhead),
                        .traffic = traffic,
                        .delivered = arrived,
                        .failed = lost,
                        .patience = s->patience,
                        .self = relay};
  if (users && s->scenario->platform->hosts[host].role == CELSLM_CLOUD)
    r->to_cloud += relay->transfer.bytes;
  celslm_net_send(s->net, &relay->transfer);
}

void celslm_relay_job(const celslm_request *r, celslm_job *job, int32_t prompt, int32_t output,
                      const celslm_job_owner *owner) {
  *job = (celslm_job){.id = r->id,
                      .prompt = prompt,
                      .output = output,
                      .cls = r->demand.cls,
                      .tenant = r->demand.tenant,
                      .priority = r->demand.priority,
                      .predicted = r->demand.predicted,
                      .deadline = r->demand.deadline,
                      .unlimited = true, /* the request has been let in where it came first */
                      .owner = owner,
                      .self = (void *)r};
}

gsl_rng *celslm_relay_dice(const celslm_request *r, const char *name) {
  char *full = celslm_format("%s.%u", name, r->id);
  gsl_rng *dice = celslm_rng_small(r->system->scenario->seed, full);
  free(full);
  return dice;
}
