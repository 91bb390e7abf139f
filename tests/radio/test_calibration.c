/* test_calibration.c - the large-scale calibration of TR 38.901 section 7.8.1: 19 sites of 3
 * sectors with antennas, wrapped around, against the mean of the companies' results (R1-165974):
 * coupling gain and geometry (every sector active, without noise: the rows hardly depend on the
 * carrier). The rows are those of the kinds calibration_* in tests/data/radio/calibration.csv. */
#include "net/radio/budget.h"
#include "net/radio/building.h"
#include "net/radio/channel.h"
#include "net/radio/field.h"
#include "net/radio/vectors.h"
#include "support.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>

enum { SITES = 19, SECTORS = 3, USERS = 20000, ELEMENTS = 10 };

static double gains[USERS], geometries[USERS];
static double site_x[SITES], site_y[SITES];

/* Sites of two rings; a row of neighbours lies along the x axis. */
static void place_sites(double isd) {
  int n = 0;
  for (int i = -2; i <= 2; i++)
    for (int j = -2; j <= 2; j++) {
      if (i + j < -2 || i + j > 2) continue;
      site_x[n] = isd * (i + j / 2.0);
      site_y[n++] = isd * j * sqrt(3) / 2;
    }
  ck_assert_int_eq(n, SITES);
}

/* From the nearest copy of a site to a user: clusters repeat at (3, 2) and its turns by 60 degrees.
 */
static void nearest_copy(int site, double x, double y, double isd, double *dx, double *dy) {
  double best = INFINITY;
  for (int k = 0; k < 7; k++) {
    double turn = k * M_PI / 3, length = isd * sqrt(19), at = atan2(sqrt(3), 4) + turn;
    double cx = site_x[site] + (k < 6 ? length * cos(at) : 0);
    double cy = site_y[site] + (k < 6 ? length * sin(at) : 0);
    if (hypot(x - cx, y - cy) >= best) continue;
    best = hypot(x - cx, y - cy);
    *dx = x - cx;
    *dy = y - cy;
  }
}

/* dBi of a column of 10 elements half a wavelength apart, all in phase towards `tilt` (zenith). */
static double column_gain(double azimuth, double zenith, double tilt) {
  double re = 0, im = 0, phase = M_PI * (cos(zenith * M_PI / 180) - cos(tilt * M_PI / 180));
  for (int m = 0; m < ELEMENTS; m++) {
    re += cos(m * phase);
    im += sin(m * phase);
  }
  double array = (re * re + im * im) / ELEMENTS;
  return celslm_element_gain(azimuth, zenith) + celslm_to_db(fmax(array, 1e-6));
}

static bool in_hexagon(double x, double y, double isd) {
  for (int k = 0; k < 6; k++)
    if (x * cos(k * M_PI / 3) + y * sin(k * M_PI / 3) > isd / 2) return false;
  return true;
}

/* Table 7.8-1, UMi: ISD 200 m, base stations at 10 m, 80 % of the users indoors on a floor of 4 to
 * 8 (half of the buildings of high loss), no nearer than 10 m, the strongest sector serves. */
static void drop(double carrier, gsl_rng *r) {
  const celslm_channel *c = &celslm_channel_umi;
  const double isd = 200, h_bs = 10, tilt = 102;
  place_sites(isd);
  for (int u = 0; u < USERS; u++) {
    double x, y;
    do {
      x = gsl_ran_flat(r, -isd, isd);
      y = gsl_ran_flat(r, -isd, isd);
    } while (!in_hexagon(x, y, isd) || hypot(x, y) < 10);
    bool indoor = gsl_rng_uniform(r) < 0.8;
    double h_ut = 1.5, indoors = 0, wall = 0;
    if (indoor) {
      int floors = 4 + (int)gsl_rng_uniform_int(r, 5);
      h_ut += 3 * (double)gsl_rng_uniform_int(r, (unsigned long)floors);
      celslm_wall kind = gsl_rng_uniform(r) < 0.5 ? CELSLM_WALL_LOW : CELSLM_WALL_HIGH;
      indoors = celslm_indoor_distance(r, 25);
      wall = celslm_wall_loss(kind, carrier) + gsl_ran_gaussian(r, celslm_wall_std(kind)) +
             celslm_indoor_loss(indoors);
    }
    double all = 0, best = -INFINITY, common = gsl_ran_gaussian(r, 1);
    for (int s = 0; s < SITES; s++) {
      double dx, dy;
      nearest_copy(s, x, y, isd, &dx, &dy);
      double distance = hypot(dx, dy);
      celslm_geometry g = {.carrier = carrier, .distance = distance, .h_bs = h_bs, .h_ut = h_ut};
      celslm_geometry outside = g;
      outside.distance = fmax(distance - indoors, 0);
      bool los = gsl_rng_uniform(r) < c->los_probability(&outside);
      double std = c->shadow_std(&g, indoor ? CELSLM_O2I : los ? CELSLM_LOS : CELSLM_NLOS);
      double shadow = celslm_between_sites(common, gsl_ran_gaussian(r, 1), 0.5);
      double loss = c->loss(&g, los) + std * shadow + wall;
      for (int k = 0; k < SECTORS; k++) {
        double azimuth = atan2(dy, dx) * 180 / M_PI - (30 + 120 * k);
        double zenith = atan2(distance, h_ut - h_bs) * 180 / M_PI;
        double gain = column_gain(azimuth, zenith, tilt) - loss;
        all += celslm_from_db(gain);
        best = fmax(best, gain);
      }
    }
    double signal = celslm_from_db(best);
    gains[u] = best;
    geometries[u] = celslm_to_db(signal / (all - signal));
  }
  gsl_sort(gains, 1, USERS);
  gsl_sort(geometries, 1, USERS);
}

START_TEST(test_calibration) {
  celslm_error err = {0};
  celslm_vectors *v = celslm_vectors_read(CELSLM_TEST_DATA "/radio/calibration.csv", &err);
  ck_assert_msg(v != NULL, "%s", err.text);
  gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
  static const double carriers[] = {6, 30, 70};
  int rows = 0;
  for (int f = 0; f < 3; f++) {
    drop(carriers[f] * 1e9, r);
    for (int i = 0; i < v->n; i++) {
      celslm_vector *row = &v->rows[i];
      double percentile, expected, tol;
      if (row->fc != carriers[f] || sscanf(row->extra, "percentile=%lf", &percentile) != 1)
        continue;
      ck_assert(celslm_vector_number(row->expected_text, &expected) &&
                celslm_vector_number(row->tol_text, &tol));
      bool coupling = strcmp(row->kind, "calibration_coupling_gain") == 0;
      double ours = gsl_stats_quantile_from_sorted_data(coupling ? gains : geometries, 1, USERS,
                                                        percentile / 100);
      ck_assert_msg(fabs(ours - expected) <= tol, "%s %g GHz, percentile %g: %.2f, companies %.2f",
                    row->kind, carriers[f], percentile, ours, expected);
      rows++;
    }
  }
  ck_assert_int_eq(rows, v->n);
  ck_assert_int_eq(rows, 42);
  gsl_rng_free(r);
  celslm_vectors_free(v);
}
END_TEST

RUN_SUITE("calibration", test_calibration)
