/* test_radio_random.c - what is drawn: shares, deviations and correlations of 10^5 draws within
 * three standard errors of what the models say. Streams are named, so every run draws the same. */
#include "base/rng.h"
#include "net/radio/blockage.h"
#include "net/radio/building.h"
#include "net/radio/channel.h"
#include "net/radio/field.h"
#include "net/radio/uma.h"
#include "support.h"

#include <math.h>

enum { DRAWS = 100000 };

static void within(const char *what, double found, double expected, double error) {
  printf("%-34s %10.5f expected %10.5f, %5.2f standard errors\n", what, found, expected,
         error > 0 ? fabs(found - expected) / error : 0);
  ck_assert_msg(fabs(found - expected) <= 3 * error, "%s: found %g, expected %g +- 3 * %g", what,
                found, expected, error);
}

static double share_error(double p) {
  return sqrt(p * (1 - p) / DRAWS);
}

/* ---- line of sight --------------------------------------------------------------------------- */

START_TEST(test_los_share) {
  gsl_rng *r = celslm_rng(1, "los share");
  for (const celslm_channel *const *c = celslm_channels; *c; c++) {
    double distance = (*c)->max_distance > 1000 ? 120 : 30;
    celslm_geometry g = {
        .carrier = 3.5e9, .distance = distance, .h_bs = (*c)->h_bs, .h_ut = (*c)->h_ut};
    double p = (*c)->los_probability(&g);
    int hits = 0;
    for (int i = 0; i < DRAWS; i++) {
      celslm_walk user = {0};
      hits += celslm_in_sight(celslm_walk_step(&user, 0, celslm_los_correlation(*c, &g), r), p);
    }
    within((*c)->name, (double)hits / DRAWS, p, share_error(p));
  }
  gsl_rng_free(r);
}
END_TEST

/* Of two places, each in sight with probability 1/2: P(they differ) = acos(rho) / pi. */
START_TEST(test_los_consistency) {
  gsl_rng *r = celslm_rng(1, "los consistency");
  const double moved[] = {1, 10, 50, 200};
  for (int m = 0; m < 4; m++) {
    int differ = 0;
    for (int i = 0; i < DRAWS; i++) {
      celslm_walk user = {0};
      bool here = celslm_in_sight(celslm_walk_step(&user, 0, 50, r), 0.5);
      differ += here != celslm_in_sight(celslm_walk_step(&user, moved[m], 50, r), 0.5);
    }
    double p = acos(exp(-moved[m] / 50)) / 3.14159265358979323846;
    within("states that differ", (double)differ / DRAWS, p, share_error(p));
  }
  gsl_rng_free(r);
}
END_TEST

/* ---- shadowing along a path ------------------------------------------------------------------ */

static void along_a_path(const celslm_channel *c, celslm_link_state state) {
  static double x[DRAWS];
  char *name = celslm_format("shadow %s %d", c->name, state);
  gsl_rng *r = celslm_rng(1, name);
  celslm_geometry g = {.carrier = 28e9, .distance = 100, .h_bs = c->h_bs, .h_ut = c->h_ut};
  double std = c->shadow_std(&g, state), correlation = c->decorrelation[state];
  double moved = correlation / 2, rho = exp(-0.5);
  celslm_walk user = {0};
  double squares = 0;
  for (int i = 0; i < DRAWS; i++) {
    x[i] = std * celslm_walk_step(&user, moved, correlation, r);
    squares += x[i] * x[i];
  }
  double square = rho * rho, inflation = (1 + square) / (1 - square);
  within(name, sqrt(squares / DRAWS), std, std * sqrt(inflation / (2 * DRAWS)));
  for (int lag = 1; lag <= 4; lag += 3) {
    double products = 0, power = pow(square, lag);
    for (int i = 0; i + lag < DRAWS; i++) products += x[i] * x[i + lag];
    /* Bartlett's formula for an AR(1) process */
    double variance = inflation * (1 - power) - 2 * lag * power;
    within("  autocorrelation", products / squares, exp(-moved * lag / correlation),
           sqrt(variance / DRAWS));
  }
  gsl_rng_free(r);
  free(name);
}

START_TEST(test_shadowing) {
  along_a_path(&celslm_channel_umi, CELSLM_LOS);
  along_a_path(&celslm_channel_umi, CELSLM_NLOS);
  along_a_path(&celslm_channel_uma, CELSLM_O2I);
  along_a_path(&celslm_channel_rma, CELSLM_NLOS);
  along_a_path(&celslm_channel_inf_dh, CELSLM_LOS);
  along_a_path(&celslm_channel_nyu_inh, CELSLM_NLOS);
}
END_TEST

/* ---- shadowing over a plane ------------------------------------------------------------------ */

START_TEST(test_field) {
  enum { PLACES = 4 };
  static const double at[PLACES][2] = {{0, 0}, {5, 0}, {6, 8}, {-30, 0}};
  gsl_rng *r = celslm_rng(1, "field");
  double products[PLACES] = {0};
  int hits = 0;
  for (int i = 0; i < DRAWS; i++) {
    celslm_field *f = celslm_field_new(10, r);
    double origin = celslm_field_at(f, 100, -200);
    for (int p = 0; p < PLACES; p++)
      products[p] += origin * celslm_field_at(f, 100 + at[p][0], -200 + at[p][1]);
    hits += celslm_in_sight(origin, 0.2);
    celslm_field_free(f);
  }
  for (int p = 0; p < PLACES; p++) {
    double rho = exp(-hypot(at[p][0], at[p][1]) / 10);
    within("field correlation", products[p] / DRAWS, rho, sqrt((1 + rho * rho) / DRAWS));
  }
  within("field in sight", (double)hits / DRAWS, 0.2, share_error(0.2));
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_between_sites) {
  gsl_rng *r = celslm_rng(1, "sites");
  double product = 0, square = 0;
  for (int i = 0; i < DRAWS; i++) {
    celslm_walk draws[3] = {{0}};
    for (int k = 0; k < 3; k++) celslm_walk_step(&draws[k], 0, 1, r);
    double a = celslm_between_sites(draws[0].value, draws[1].value, 0.5);
    double b = celslm_between_sites(draws[0].value, draws[2].value, 0.5);
    product += a * b;
    square += a * a;
  }
  within("two sites", product / DRAWS, 0.5, sqrt(1.25 / DRAWS));
  within("one site", square / DRAWS, 1, sqrt(2.0 / DRAWS));
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_same_stream_same_draws) {
  for (int k = 0; k < 2; k++) {
    gsl_rng *r = celslm_rng(7, "again"), *s = celslm_rng(7, k ? "other" : "again");
    celslm_field *f = celslm_field_new(50, r), *g = celslm_field_new(50, s);
    ck_assert((celslm_field_at(f, 3, 4) == celslm_field_at(g, 3, 4)) == (k == 0));
    celslm_field_free(f), celslm_field_free(g);
    gsl_rng_free(r), gsl_rng_free(s);
  }
}
END_TEST

/* ---- indoors, cars, tall buildings ----------------------------------------------------------- */

START_TEST(test_penetration) {
  gsl_rng *r = celslm_rng(1, "penetration");
  double sum = 0, cars = 0, squares = 0;
  for (int i = 0; i < DRAWS; i++) {
    double d = celslm_indoor_distance(r, 25), car = celslm_car_loss(false, r);
    ck_assert(d >= 0 && d < 25);
    sum += d;
    cars += car;
    squares += (car - 9) * (car - 9);
  }
  within("indoor distance", sum / DRAWS, 25.0 / 3, 25 / sqrt(18.0 * DRAWS));
  within("car", cars / DRAWS, 9, 5 / sqrt(DRAWS));
  within("car deviation", sqrt(squares / DRAWS), 5, 5 / sqrt(2.0 * DRAWS));
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_effective_height) {
  gsl_rng *r = celslm_rng(1, "effective height");
  celslm_geometry g = {.carrier = 3.5e9, .distance = 300, .h_bs = 25, .h_ut = 22.5};
  double c = pow(0.95, 1.5) * 1.25 * 27 * exp(-2);
  int found[4] = {0}; /* 1, 12, 15, 18; 21 is 1.5 m below the user, and allowed */
  int highest = 0;
  for (int i = 0; i < DRAWS; i++) {
    double h = celslm_uma_effective_height(&g, gsl_rng_uniform(r));
    if (h == 21)
      highest++;
    else if (h == 1)
      found[0]++;
    else {
      ck_assert(h == 12 || h == 15 || h == 18);
      found[(int)h / 3 - 3]++;
    }
  }
  double low = 1 / (1 + c), each = (1 - low) / 4;
  within("hE of 1 m", (double)found[0] / DRAWS, low, share_error(low));
  for (int i = 1; i < 4; i++) within("hE above", (double)found[i] / DRAWS, each, share_error(each));
  within("hE of 21 m", (double)highest / DRAWS, each, share_error(each));
  g.h_ut = 13;
  ck_assert_double_eq(celslm_uma_effective_height(&g, 0.999), 1);
  gsl_rng_free(r);
}
END_TEST

/* ---- blockage -------------------------------------------------------------------------------- */

START_TEST(test_blocked_share) {
  const celslm_crowd *c = &celslm_crowd_default;
  double rate = celslm_blockage_rate(c, 5, 1.4, 100);
  ck_assert_double_eq_tol(rate, 0.0707, 5e-5);
  ck_assert_double_eq(celslm_blockage_rate(c, 5, 1.9, 100), 0); /* held above all heads */
  gsl_rng *r = celslm_rng(1, "blockage");
  ck_assert(isinf(celslm_blockage_time(c, 0, false, r)));
  double free_time = 0, blocked_time = 0;
  for (int i = 0; i < DRAWS; i++) {
    free_time += celslm_blockage_time(c, rate, false, r);
    blocked_time += celslm_blockage_time(c, rate, true, r);
  }
  double share = celslm_blocked_share(c, rate);
  ck_assert_double_eq_tol(share, rate / (rate + 2), 1e-12);
  /* a share of two sums of exponentials: both vary by 1/sqrt(n) of themselves */
  within("blocked share", blocked_time / (free_time + blocked_time), share,
         share * (1 - share) * sqrt(2.0 / DRAWS));
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_blockers) {
  gsl_rng *r = celslm_rng(1, "blockers");
  double angles = 0, products = 0;
  for (int i = 0; i < DRAWS / CELSLM_BLOCKERS; i++) {
    celslm_blocker b[CELSLM_BLOCKERS];
    celslm_blockers_draw(b, CELSLM_BLOCKERS, false, r);
    for (int k = 0; k < CELSLM_BLOCKERS; k++) {
      ck_assert(b[k].width >= 5 && b[k].width <= 15 && b[k].height == 5 && b[k].distance == 10);
      angles += b[k].azimuth;
    }
  }
  within("blocker azimuth", angles / DRAWS, 180, 360 / sqrt(12.0 * DRAWS));
  celslm_blocker b[1];
  for (int i = 0; i < DRAWS; i++) { /* 3 m and 2 s at 1 m/s: exp(-0.5) of the centre remains */
    celslm_blockers_draw(b, 1, true, r);
    double before = b->centre.value;
    celslm_blockers_move(b, 1, 3, 2, 1, 10, r);
    products += before * b->centre.value;
  }
  double rho = exp(-0.5);
  within("blocker centre", products / DRAWS, rho, sqrt((1 + rho * rho) / DRAWS));
  gsl_rng_free(r);
}
END_TEST

RUN_SUITE("radio_random", test_los_share, test_los_consistency, test_shadowing, test_field,
          test_between_sites, test_same_stream_same_draws, test_penetration, test_effective_height,
          test_blocked_share, test_blockers)
