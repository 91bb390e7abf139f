#include "world/accounting.h"

#include <math.h>
#include <stdlib.h>

/* ---- hosts ----------------------------------------------------------------------------------- */

/* Adds up in every row the s in which engines on its host, or with a stage there, computed. */
static void add_busy(const celslm_system *s, celslm_host_row *rows) {
  for (int i = 0; i < s->scenario->n_engines; i++) {
    const celslm_engine_config *c = &s->scenario->engines[i];
    celslm_engine_row engine;
    celslm_engine_observe(s->sites[i].engine, &engine);
    for (int k = 0; k < c->n_stages; k++) { /* their hosts differ; the first is the engine's */
      celslm_host_row *row = &rows[c->stages[k]];
      row->busy = fmax(row->busy, 0) + engine.busy;
    }
  }
}

/* Its `busy` is the sum over engines so far. */
static void finish_host(const celslm_system *s, double duration, celslm_host_row *row) {
  const celslm_host *h = &s->scenario->platform->hosts[row->host];
  const celslm_prices_config *prices = &s->scenario->prices;
  double idle = h->profile->power_idle;
  double rent = !isnan(h->rent) ? h->rent : h->role == CELSLM_CLOUD ? prices->cloud_second : 0;
  row->busy = fmin(row->busy, duration);
  row->energy_idle = h->accelerators * idle * duration;
  row->energy_busy = h->accelerators * (h->busy_power - idle) * row->busy;
  row->cost = rent > 0 ? rent * h->accelerators * duration
                       : (row->energy_idle + row->energy_busy) * prices->joule;
}

celslm_host_row *celslm_account_hosts(const celslm_system *s, double duration) {
  int n = s->scenario->platform->n_hosts;
  celslm_host_row *rows = celslm_alloc((unsigned long)n, sizeof *rows);
  for (int h = 0; h < n; h++) rows[h] = (celslm_host_row){.host = (uint32_t)h, .busy = -1};
  add_busy(s, rows);
  for (int h = 0; h < n; h++)
    if (rows[h].busy >= 0) finish_host(s, duration, &rows[h]);
  return rows;
}

/* ---- links ----------------------------------------------------------------------------------- */

const celslm_link **celslm_account_links(const celslm_system *s) {
  const celslm_platform *p = s->scenario->platform;
  const celslm_link **links = celslm_alloc((unsigned long)celslm_net_links(s->net), sizeof *links);
  for (int i = 0; i < p->n_links; i++) {
    int lines[2];
    for (int k = celslm_net_lines(s->net, i, lines); k-- > 0;) links[lines[k]] = &p->links[i];
  }
  return links;
}

void celslm_account_link(const celslm_system *s, const celslm_link *l, double bytes,
                         celslm_link_row *row) {
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
  celslm_host_row *hosts = celslm_account_hosts(s, duration);
  for (int h = 0; h < s->scenario->platform->n_hosts; h++) {
    if (hosts[h].busy < 0) continue;
    row->energy += hosts[h].energy_idle + hosts[h].energy_busy;
    cost += hosts[h].cost;
  }
  free(hosts);
  const celslm_link **links = celslm_account_links(s);
  for (int l = 0; l < celslm_net_links(s->net); l++) {
    double bytes = 0;
    for (int c = 0; c < CELSLM_TRAFFICS; c++)
      bytes += (double)celslm_net_link_bytes(s->net, l, (celslm_traffic)c);
    celslm_link_row link;
    celslm_account_link(s, links[l], bytes, &link);
    row->energy_links += link.energy;
    cost += link.cost;
  }
  free(links);
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
