/* test_radio_vectors.c - the radio models against published numbers: tests/data/radio/vectors.csv,
 * whose column `source` says whose each one is. */
#include "net/radio/atmosphere.h"
#include "net/radio/channel.h"
#include "net/radio/nyu.h"
#include "net/radio/timing.h"
#include "net/radio/vectors.h"
#include "support.h"

#include <math.h>

/* How many rows of each kind there are: none may get lost. */
static const struct {
  const char *kind;
  int rows;
} kinds[] = {
    {"pathloss", 204},      {"pathloss-ci", 16},
    {"los_prob", 12},       {"shadow_std", 9},
    {"decorr_distance", 6}, {"los_state_corr_distance", 4},
    {"rician_K_mean", 4},   {"rician_K_std", 4},
    {"o2i_wall", 8},        {"gas_attenuation", 14},
    {"oxygen_38901", 8},    {"rain_attenuation", 8},
    {"cqi_se", 15},         {"mcs_se", 28},
    {"snr_at_bler10", 25},  {"snr_at_bler10_practical", 17},
    {"peak_rate", 1},       {"ue_proc_time", 8},
};

static celslm_vectors *read_vectors(void) {
  celslm_error err = {0};
  celslm_vectors *v = celslm_vectors_read(CELSLM_TEST_DATA "/radio/vectors.csv", &err);
  ck_assert_msg(v != NULL, "%s", err.text);
  return v;
}

START_TEST(test_vectors) {
  celslm_vectors *v = read_vectors();
  int run = 0;
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    int rows = 0;
    for (int i = 0; i < v->n; i++) {
      celslm_vector *row = &v->rows[i];
      if (strcmp(row->kind, kinds[k].kind) != 0) continue;
      celslm_error err = {0};
      double computed;
      ck_assert_msg(celslm_vector_check(row, &computed, &err), "%s", err.text);
      ck_assert_msg(celslm_vector_met(row, computed),
                    "%s %s %s %s: computed %.9g, expected %s +- %s", row->id, row->kind,
                    row->scenario, row->state, computed, row->expected_text, row->tol_text);
      rows++;
    }
    printf("%-24s %3d rows met\n", kinds[k].kind, rows);
    ck_assert_int_eq(rows, kinds[k].rows);
    run += rows;
  }
  ck_assert_int_eq(run, v->n); /* no row of another kind */
  celslm_vectors_free(v);
}
END_TEST

/* ---- what rows give as an input is what our own tables say ----------------------------------- */

static double extra(const celslm_vector *v, const char *key) {
  const char *at = strstr(v->extra, key);
  ck_assert_msg(at != NULL, "%s: no %s", v->id, key);
  return strtod(at + strlen(key), NULL);
}

START_TEST(test_close_in_exponents) {
  celslm_vectors *v = read_vectors();
  int rows = 0;
  for (int i = 0; i < v->n; i++) {
    const celslm_vector *row = &v->rows[i];
    if (strcmp(row->kind, "pathloss-ci") != 0) continue;
    char name[32] = "nyu-";
    for (int c = 0; row->scenario[c] && c < 20; c++) name[4 + c] = (char)(row->scenario[c] | 0x20);
    const celslm_channel *channel = celslm_channel_find(name);
    ck_assert_msg(channel != NULL, "%s", name);
    celslm_geometry g = {.carrier = row->fc * 1e9, .distance = 10};
    bool los = strcmp(row->state, "LOS") == 0;
    double first = celslm_close_in_loss(g.carrier, 0, 1);
    ck_assert_double_eq_tol((channel->loss(&g, los) - first) / 10, extra(row, "PLE="), 1e-9);
    ck_assert_double_eq_tol(channel->shadow_std(&g, los ? CELSLM_LOS : CELSLM_NLOS),
                            extra(row, "sigma="), 1e-9);
    rows++;
  }
  ck_assert_int_eq(rows, 16);
  celslm_vectors_free(v);
}
END_TEST

START_TEST(test_rain_coefficients) {
  celslm_vectors *v = read_vectors();
  int rows = 0;
  for (int i = 0; i < v->n; i++) {
    const celslm_vector *row = &v->rows[i];
    if (strcmp(row->kind, "rain_attenuation") != 0) continue;
    celslm_rain rain =
        celslm_rain_coefficients(row->fc * 1e9, extra(row, "el="), extra(row, "tau="));
    ck_assert_double_eq_tol(rain.k, extra(row, ";k="), 1e-8);
    ck_assert_double_eq_tol(rain.alpha, extra(row, "alpha="), 1e-8);
    rows++;
  }
  ck_assert_int_eq(rows, 8);
  celslm_vectors_free(v);
}
END_TEST

START_TEST(test_processing_symbols) {
  celslm_vectors *v = read_vectors();
  int rows = 0;
  for (int i = 0; i < v->n; i++) {
    const celslm_vector *row = &v->rows[i];
    if (strcmp(row->kind, "ue_proc_time") != 0) continue;
    celslm_processing what = row->scenario[1] == '1' ? CELSLM_N1 : CELSLM_N2;
    int mu = row->state[3] - '0', capability = row->scenario[6] - '0';
    ck_assert_double_eq(celslm_processing_symbols(what, capability, mu), extra(row, "N="));
    rows++;
  }
  ck_assert_int_eq(rows, 8);
  celslm_vectors_free(v);
}
END_TEST

RUN_SUITE("radio_vectors", test_vectors, test_close_in_exponents, test_rain_coefficients,
          test_processing_symbols)
