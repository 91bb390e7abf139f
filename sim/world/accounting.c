#include "world/accounting.h"

#include <math.h>
#include <string.h>

/* ---- hosts ----------------------------------------------------------------------------------- */

/* s in which engines on this host, or with a stage there, computed; negative: there are none. */
static double busy_on(const celslm_system *s, int host) {
  double busy = -1;
  for (int i = 0; i < s->scenario->n_engines; i++) {
    const celslm_engine_config *c = &s->scenario->engines[i];
    bool here = s->sites[i].host == host;
    for (int k = 0; k < c->n_stages; k++) here = here || c->stages[k] == host;
    if (!here) continue;
    celslm_engine_row row;
    celslm_engine_observe(s->sites[i].engine, &row);
    busy = fmax(busy, 0) + row.busy;
  }
  return busy;
}

bool celslm_account_host(const celslm_system *s, int host, double duration, celslm_host_row *row) {
  const celslm_host *h = &s->scenario->platform->hosts[host];
  const celslm_prices_config *prices = &s->scenario->prices;
  double busy = busy_on(s, host);
  if (busy < 0) return false;
  double idle = h->profile->power_idle;
  double rent = !isnan(h->rent) ? h->rent : h->role == CELSLM_CLOUD ? prices->cloud_second : 0;
  row->busy = fmin(busy, duration);
  row->energy_idle = h->accelerators * idle * duration;
  row->energy_busy = h->accelerators * (h->busy_power - idle) * row->busy;
  row->cost = rent > 0 ? rent * h->accelerators * duration
                       : (row->energy_idle + row->energy_busy) * prices->joule;
  return true;
}

/* ---- links ----------------------------------------------------------------------------------- */

/* SimGrid has a split-duplex link as two, NAME_UP and NAME_DOWN. */
static const celslm_link *link_of(const celslm_system *s, int link) {
  const celslm_platform *p = s->scenario->platform;
  const char *name = celslm_net_link_name(s->net, link);
  for (int i = 0; i < p->n_links; i++) {
    const celslm_link *l = &p->links[i];
    size_t n = strlen(l->name);
    if (strncmp(name, l->name, n) != 0) continue;
    const char *rest = name + n;
    if (l->split_duplex ? strcmp(rest, "_UP") == 0 || strcmp(rest, "_DOWN") == 0 : *rest == 0)
      return l;
  }
  return NULL; /* one of SimGrid's own */
}

void celslm_account_link(const celslm_system *s, int link, double bytes, celslm_link_row *row) {
  const celslm_link *l = link_of(s, link);
  row->energy = l ? l->byte_energy * bytes : 0;
  row->cost =
      l && l->byte_price > 0 ? l->byte_price * bytes : row->energy * s->scenario->prices.joule;
}

/* ---- radio ----------------------------------------------------------------------------------- */

static double watt_of(double dbm) {
  return 1e-3 * pow(10, dbm / 10);
}

void celslm_account_cell(const celslm_system *s, int cell, celslm_cell_row *row) {
  const celslm_cell *c = &s->scenario->platform->cells[cell];
  const celslm_tdd *tdd = s->ran ? celslm_ran_scene(s->ran)->tdd[cell] : NULL;
  double up = tdd ? celslm_tdd_share(tdd, true) : c->ul_share > 0 ? c->ul_share : 1;
  double down = tdd ? celslm_tdd_share(tdd, false) : c->dl_share > 0 ? c->dl_share : 1;
  row->energy_up = watt_of(c->ue_tx_power) * up * row->airtime_up / c->ue_pa_efficiency;
  row->energy_down = watt_of(c->tx_power) * down * row->airtime_down / c->pa_efficiency;
}

/* ---- everything ------------------------------------------------------------------------------ */

void celslm_account_summary(const celslm_system *s, double duration, double quality,
                            celslm_summary_row *row) {
  const celslm_prices_config *prices = &s->scenario->prices;
  double cost = 0, n = row->completed ? (double)row->completed : NAN;
  for (int h = 0; h < s->scenario->platform->n_hosts; h++) {
    celslm_host_row host;
    if (!celslm_account_host(s, h, duration, &host)) continue;
    row->energy += host.energy_idle + host.energy_busy;
    cost += host.cost;
  }
  for (int l = 0; l < celslm_net_links(s->net); l++) {
    double bytes = 0;
    for (int c = 0; c < CELSLM_TRAFFICS; c++)
      bytes += (double)celslm_net_link_bytes(s->net, l, (celslm_traffic)c);
    celslm_link_row link;
    celslm_account_link(s, l, bytes, &link);
    row->energy_links += link.energy;
    cost += link.cost;
  }
  for (int c = 0; s->ran && c < s->scenario->platform->n_cells; c++) {
    celslm_cell_row cell = {.airtime_up = celslm_air_busy(celslm_ran_air(s->ran, c, true)),
                            .airtime_down = celslm_air_busy(celslm_ran_air(s->ran, c, false))};
    celslm_account_cell(s, c, &cell);
    row->energy_radio += cell.energy_up + cell.energy_down;
  }
  row->energy_response = (row->energy + row->energy_links + row->energy_radio) / n;
  row->cost = row->cpr = row->pcr = NAN;
  if (!prices->given) return;
  row->cost = cost + row->energy_radio * prices->joule + row->wan_bytes * prices->wan_byte;
  row->cpr = row->cost / n;
  double a = prices->quality_weight;
  double useful = (a > 0 ? a * quality / n : 0) + (a < 1 ? (1 - a) * row->slo_share : 0);
  if (row->cpr > 0) row->pcr = useful / row->cpr;
}
