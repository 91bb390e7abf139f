#include "cmd/radio_scene.h"

#include "cmd/commands.h"
#include "net/radio/mcs.h"
#include "net/radio/scene.h"
#include "record/radio.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *cell_name(const celslm_scenario *s, int cell) {
  return s->platform->hosts[s->platform->cells[cell].host].name;
}

/* The MCS (table 2) that a layer's SINR allows; Shannon's curves stand for no table: then the one
 * at AWGN. -1: none. */
static int mcs_of(const celslm_scenario *s, double sinr, int layers) {
  celslm_link_level level =
      s->radio.curve == CELSLM_RATE_MCS_PRACTICAL ? CELSLM_LINK_PRACTICAL : CELSLM_LINK_AWGN;
  return celslm_mcs_at(level, 2, sinr - 10 * log10(layers));
}

static void print_users(const celslm_scenario *s, const celslm_scene *scene) {
  const celslm_radio_config *r = &s->radio;
  printf("channel %s, curve %s; rates are of a user alone in its cell, latencies one way\n",
         scene->channel->name, celslm_rate_curve_names[r->curve]);
  printf("%6s %-10s %9s %9s %-5s %8s %8s %4s %10s %8s %8s %4s %10s %8s\n", "user", "cell", "x m",
         "y m", "sight", "loss dB", "SINR dB", "MCS", "down Mbps", "ms", "up SINR", "MCS",
         "up Mbps", "ms");
  for (int i = 0; i < scene->n_ues; i++) {
    const celslm_ue *u = &scene->ues[i];
    celslm_radio_link l = celslm_scene_link(scene, u, u->cell, 0, 0);
    printf("%6d %-10s %9.1f %9.1f %-5s %8.1f %8.1f %4d %10.1f %8.2f %8.1f %4d %10.1f %8.2f\n", i,
           cell_name(s, u->cell), u->x, u->y,
           u->indoor               ? "in"
           : u->heard[u->cell].los ? "los"
                                   : "nlos",
           u->heard[u->cell].loss, l.snr_down, mcs_of(s, l.snr_down, l.layers_down), l.down * 8e-6,
           l.latency_down * 1e3, l.snr_up, mcs_of(s, l.snr_up, l.layers_up), l.up * 8e-6,
           l.latency_up * 1e3);
  }
}

static void print_cells(const celslm_scenario *s, const celslm_scene *scene) {
  printf("%-10s %6s %12s %12s %16s %16s\n", "cell", "users", "active down", "active up",
         "mean down Mbps", "mean up Mbps");
  for (int c = 0; c < scene->n_cells; c++) {
    double down = 0, up = 0;
    int n = 0;
    for (int i = 0; i < scene->n_ues; i++) {
      if (scene->ues[i].cell != c) continue;
      celslm_radio_link l = celslm_scene_link(scene, &scene->ues[i], c, 0, 0);
      down += l.down;
      up += l.up;
      n++;
    }
    if (n)
      printf("%-10s %6d %12.3f %12.3f %16.1f %16.1f\n", cell_name(s, c), n, scene->activity_down[c],
             scene->activity_up[c], down / n * 8e-6, up / n * 8e-6);
  }
}

/* ---- the file -------------------------------------------------------------------------------- */

static void write_users(const celslm_scene *scene, celslm_table *t) {
  for (int i = 0; i < scene->n_ues; i++) {
    const celslm_ue *u = &scene->ues[i];
    celslm_radio_link l = celslm_scene_link(scene, u, u->cell, 0, 0);
    celslm_user_row row = {.los = u->heard[u->cell].los,
                           .indoor = u->indoor,
                           .ue = (uint32_t)i,
                           .cell = (uint32_t)u->cell,
                           .layers_down = (uint32_t)l.layers_down,
                           .layers_up = (uint32_t)l.layers_up,
                           .x = u->x,
                           .y = u->y,
                           .loss = u->heard[u->cell].loss,
                           .sinr_down = l.snr_down,
                           .sinr_up = l.snr_up,
                           .rate_down = l.down,
                           .rate_up = l.up,
                           .latency_down = l.latency_down,
                           .latency_up = l.latency_up};
    celslm_table_append(t, &row);
  }
}

/* An outdoor user of the first group's height at each place, in the cell that it hears best. */
static void write_map(celslm_scene *scene, double grid, celslm_table *t) {
  double low_x = INFINITY, high_x = -INFINITY, low_y = INFINITY, high_y = -INFINITY;
  for (int i = 0; i < scene->n_ues; i++) {
    low_x = fmin(low_x, scene->ues[i].x), high_x = fmax(high_x, scene->ues[i].x);
    low_y = fmin(low_y, scene->ues[i].y), high_y = fmax(high_y, scene->ues[i].y);
  }
  for (int c = 0; c < scene->n_cells; c++) {
    const celslm_cell *cell = &scene->scenario->platform->cells[c];
    low_x = fmin(low_x, cell->x), high_x = fmax(high_x, cell->x);
    low_y = fmin(low_y, cell->y), high_y = fmax(high_y, cell->y);
  }
  celslm_heard *heard = celslm_alloc((unsigned long)scene->n_cells, sizeof *heard);
  celslm_ue u = {.height = scene->scenario->radio.ues[0].height, .chance = 0.5, .heard = heard};
  for (u.y = floor(low_y / grid) * grid; u.y <= high_y + grid; u.y += grid)
    for (u.x = floor(low_x / grid) * grid; u.x <= high_x + grid; u.x += grid) {
      for (u.cell = 0; u.cell < (scene->spatial ? 1 : scene->n_cells); u.cell++)
        celslm_scene_hear(scene, &u); /* of all cells, or of one */
      u.cell = celslm_scene_strongest(scene, &u);
      celslm_radio_link l = celslm_scene_link(scene, &u, u.cell, 0, 0);
      celslm_map_row row = {.cell = (uint32_t)u.cell,
                            .x = u.x,
                            .y = u.y,
                            .sinr_down = l.snr_down,
                            .rate_down = l.down,
                            .rate_up = l.up};
      celslm_table_append(t, &row);
    }
  free(heard);
}

static void name_cells(celslm_column *columns, size_t n, const char *const *cells) {
  for (size_t i = 0; i < n; i++)
    if (columns[i].name[0] == 'c' && columns[i].name[4] == 0) columns[i].names = cells; /* "cell" */
}

static bool write_file(const char *file, double grid, const celslm_scenario *s, celslm_scene *scene,
                       celslm_error *err) {
  celslm_results *results = celslm_results_create(file, err);
  if (!results) return false;
  const char **cells = celslm_alloc((unsigned long)scene->n_cells + 1, sizeof *cells);
  celslm_column *users = celslm_alloc(celslm_user_n_columns, sizeof *users);
  celslm_column *map = celslm_alloc(celslm_map_n_columns, sizeof *map);
  for (int c = 0; c < scene->n_cells; c++) cells[c] = cell_name(s, c);
  for (size_t i = 0; i < celslm_user_n_columns; i++) users[i] = celslm_user_columns[i];
  for (size_t i = 0; i < celslm_map_n_columns; i++) map[i] = celslm_map_columns[i];
  name_cells(users, celslm_user_n_columns, cells);
  name_cells(map, celslm_map_n_columns, cells);
  celslm_table *t = NULL;
  bool ok = celslm_results_provenance(results, "name", s->name, err) &&
            celslm_results_provenance(results, "scenario", s->text, err) &&
            celslm_results_provenance(results, "platform", s->platform->text, err) &&
            (t = celslm_results_table(results, "users", "users, as they are placed", users,
                                      celslm_user_n_columns, err));
  if (ok) write_users(scene, t);
  ok = ok && (t = celslm_results_table(results, "map", "what can be had at each place", map,
                                       celslm_map_n_columns, err));
  if (ok) write_map(scene, grid, t);
  ok = celslm_results_close(results, ok, false, err) && ok;
  free(cells);
  free(users);
  free(map);
  return ok;
}

int celslm_radio_scene(const char *file, const char *const *set, int n_set, const char *map,
                       double grid) {
  celslm_error err = {0};
  celslm_scenario_options options = {.set = set, .n_set = n_set};
  celslm_scenario *s = celslm_scenario_load(file, &options, &err);
  if (!s) return celslm_bad_input(&err);
  celslm_scene *scene = NULL;
  if (!s->radio.n_ues)
    celslm_fail(&err, file, 0, "the scenario has no <radio>; there is nothing to show");
  else
    scene = celslm_scene_new(s, &err);
  bool ok = scene && (!map || write_file(map, grid, s, scene, &err));
  if (ok) {
    print_users(s, scene);
    print_cells(s, scene);
    if (map) printf("written: %s   (draw it: analysis/radio_map.py %s)\n", map, map);
  }
  celslm_scene_free(scene);
  celslm_scenario_free(s);
  return ok ? 0 : celslm_bad_input(&err);
}
