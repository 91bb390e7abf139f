/* test_radio_properties.c - what must hold whatever the numbers: losses that grow with distance,
 * rates below Shannon's bound; and closed forms. */
#include "base/rng.h"
#include "net/radio/atmosphere.h"
#include "net/radio/blockage.h"
#include "net/radio/budget.h"
#include "net/radio/building.h"
#include "net/radio/channel.h"
#include "net/radio/mcs.h"
#include "net/radio/rate.h"
#include "net/radio/timing.h"
#include "support.h"

#include <math.h>

/* ---- path loss ------------------------------------------------------------------------------- */

START_TEST(test_loss_grows) {
  gsl_rng *r = celslm_rng(1, "geometries");
  for (const celslm_channel *const *c = celslm_channels; *c; c++)
    for (int i = 0; i < 60; i++) {
      double octaves = log((*c)->max_carrier / (*c)->min_carrier);
      celslm_geometry g = {
          .carrier = (*c)->min_carrier * exp(octaves * gsl_rng_uniform(r)),
          .h_bs = (*c)->h_bs,
          .h_ut = 1.5 + 6 * gsl_rng_uniform(r),
          .optional_nlos = i % 4 == 0,
      };
      double before[2] = {-INFINITY, -INFINITY};
      double range = (*c)->max_distance / (*c)->min_distance;
      for (int k = 0; k <= 400; k++) {
        g.distance = (*c)->min_distance * pow(range, k / 400.0);
        double loss[2] = {(*c)->loss(&g, false), (*c)->loss(&g, true)};
        for (int los = 0; los < 2; los++) {
          ck_assert_msg(loss[los] >= before[los], "%s at %g m, %g GHz, los %d: %g after %g",
                        (*c)->name, g.distance, g.carrier * 1e-9, los, loss[los], before[los]);
          before[los] = loss[los];
        }
        /* version 19's suburban model has no such bound */
        if (*c != &celslm_channel_sma && !(g.optional_nlos && *c == &celslm_channel_uma))
          ck_assert_msg(loss[0] >= loss[1], "%s at %g m, %g GHz: hidden %g, in sight %g",
                        (*c)->name, g.distance, g.carrier * 1e-9, loss[0], loss[1]);
        double p = (*c)->los_probability(&g);
        ck_assert(p >= 0 && p <= 1);
      }
    }
  gsl_rng_free(r);
}
END_TEST

/* Zeros mean the defaults; what is given counts. */
START_TEST(test_options) {
  celslm_geometry g = {.carrier = 3.5e9, .distance = 500, .h_bs = 35, .h_ut = 1.5};
  double usual = celslm_channel_rma.loss(&g, false);
  g.building_height = 5, g.street_width = 20;
  ck_assert_double_eq(celslm_channel_rma.loss(&g, false), usual);
  g.building_height = 10;
  ck_assert_double_ne(celslm_channel_rma.loss(&g, false), usual);
  celslm_geometry high = {.carrier = 3.5e9, .distance = 3000, .h_bs = 25, .h_ut = 20};
  double low_trees = celslm_channel_uma.loss(&high, true);
  high.effective_height = 15; /* a nearer breakpoint */
  ck_assert_double_gt(celslm_channel_uma.loss(&high, true), low_trees);
  celslm_geometry hall = {.carrier = 3.5e9, .distance = 40, .h_bs = 8, .h_ut = 1.5};
  double clear = celslm_channel_inf_sh.los_probability(&hall);
  hall.clutter_density = 0.4;
  ck_assert_double_lt(celslm_channel_inf_sh.los_probability(&hall), clear);
  ck_assert_double_eq(celslm_los_correlation(&celslm_channel_inf_sl, &hall), 5);
  hall.clutter_size = 4;
  ck_assert_double_eq(celslm_los_correlation(&celslm_channel_inf_sl, &hall), 2);
  ck_assert_double_eq(celslm_los_correlation(&celslm_channel_rma, &hall), 60);
  celslm_geometry village = {.carrier = 3.5e9, .distance = 200, .h_bs = 35, .h_ut = 1.5};
  double bare = celslm_channel_sma.los_probability(&village);
  double inverse = -log(1 - 0.02) / 30 * 18.5 / 33.5 - log(1 - 0.18) / 30 * 6.5 / 33.5;
  ck_assert_double_eq_tol(bare, exp(-200 * inverse), 1e-12);
  village.vegetation = 0.2;
  inverse -= log(1 - 0.2) / 30 * 13.5 / 33.5;
  ck_assert_double_eq_tol(celslm_channel_sma.los_probability(&village), exp(-200 * inverse), 1e-12);
  ck_assert_double_eq_tol(celslm_channel_nyu_umi.los_probability(&village),
                          pow(0.11 * (1 - exp(-2)) + exp(-2), 2), 1e-12);
}
END_TEST

START_TEST(test_attenuation) {
  ck_assert_double_eq_tol(celslm_gas_attenuation(CELSLM_GAS_ALL, 140e9), 0.93, 0.02);
  for (double f = 1; f < 349; f += 0.1) { /* between its neighbours in the table */
    double a = celslm_gas_attenuation(CELSLM_GAS_WATER, f * 1e9);
    double b = celslm_gas_attenuation(CELSLM_GAS_OXYGEN, f * 1e9);
    ck_assert(a > 0 && b > 0);
    ck_assert_double_eq_tol(celslm_gas_attenuation(CELSLM_GAS_ALL, f * 1e9), a + b, 1e-12);
  }
  ck_assert_double_eq_tol(celslm_gas_attenuation(CELSLM_GAS_OXYGEN, 62e9), sqrt(15.0072 * 10.8311),
                          1e-9);
  ck_assert_double_eq_tol(celslm_oxygen_attenuation(53.5e9), 1.6, 1e-9);
  ck_assert_double_eq(celslm_oxygen_attenuation(140e9), 0);
  ck_assert_double_eq_tol(celslm_wall_loss(CELSLM_WALL_LOW, 6e9), 13.402, 5e-4);
  ck_assert_double_eq(celslm_indoor_loss(10), 5);
}
END_TEST

START_TEST(test_blocker_loss) {
  celslm_blocker b = {.azimuth = 350, .zenith = 90, .width = 10, .height = 5, .distance = 10};
  double middle = celslm_blocker_loss(&b, 350, 90, 28e9);
  ck_assert_double_gt(middle, 9);
  ck_assert_double_eq(celslm_blocker_loss(&b, 0.01, 90, 28e9), 0); /* more than a width away */
  ck_assert_double_eq(celslm_blocker_loss(&b, 350, 95.01, 28e9), 0);
  for (double a = 0; a < 10; a += 0.5) { /* symmetric, and across north */
    double left = celslm_blocker_loss(&b, 350 - a, 90, 28e9);
    ck_assert_double_eq_tol(celslm_blocker_loss(&b, a - 10, 90, 28e9), left, 1e-9);
    ck_assert_double_ge(middle + 1e-12, left);
  }
  b.height = 90; /* as good as infinitely high: a ray along one edge loses half its amplitude */
  b.width = 90;
  ck_assert_double_eq_tol(celslm_blocker_loss(&b, 305, 90, 140e9), 6.0, 0.2);
  ck_assert_double_eq(celslm_self_blockage(CELSLM_PORTRAIT, 260, 100), 30);
  ck_assert_double_eq(celslm_self_blockage(CELSLM_PORTRAIT, 321, 100), 0);
  ck_assert_double_eq(celslm_self_blockage(CELSLM_LANDSCAPE, -39, 110), 30);
  ck_assert_double_eq(celslm_self_blockage(CELSLM_LANDSCAPE, 40, 148), 0);
}
END_TEST

/* ---- budget ---------------------------------------------------------------------------------- */

static double cell_capacity(void *self, int cell, const double *activity) {
  (void)self;
  double powers[3], shares[3];
  int n = 0;
  for (int i = 0; i < 4; i++) {
    if (i == cell) continue;
    powers[n] = -85 - i;
    shares[n++] = activity[i];
  }
  return 100e6 * log2(1 + celslm_from_db(celslm_sinr(-75, -90, 3, powers, shares)));
}

START_TEST(test_budget) {
  ck_assert_double_eq_tol(celslm_noise(100e6, 7), -87, 1e-9);
  ck_assert_double_eq_tol(celslm_sinr(-80, -90, 0, NULL, NULL), 10, 1e-9);
  double same[] = {-90}, half[] = {0.5};
  ck_assert_double_eq_tol(celslm_sinr(-80, -90, 1, same, NULL), 10 - 10 * log10(2), 1e-9);
  ck_assert_double_eq_tol(celslm_sinr(-80, -90, 1, same, half), 10 - 10 * log10(1.5), 1e-9);
  ck_assert_double_eq(celslm_element_gain(0, 90), 8);
  ck_assert_double_eq_tol(celslm_element_gain(32.5, 90), 5, 1e-9); /* half power */
  ck_assert_double_eq_tol(celslm_element_gain(-327.5, 122.5), 2, 1e-9);
  ck_assert_double_eq(celslm_element_gain(180, 0), -22);
  ck_assert_double_eq_tol(celslm_array_gain(64), 18.06, 0.01);
  double demand[4] = {50e6, 100e6, 0, 1e12}, activity[4];
  ck_assert_int_gt(celslm_settle_load(4, demand, cell_capacity, NULL, activity), 2);
  for (int i = 0; i < 4; i++) {
    double can = cell_capacity(NULL, i, activity);
    ck_assert_double_eq_tol(activity[i], fmin(1, demand[i] / can), 1e-9);
  }
  ck_assert_double_eq(activity[2], 0);
  ck_assert_double_eq(activity[3], 1);
}
END_TEST

/* ---- rate ------------------------------------------------------------------------------------ */

START_TEST(test_rate_below_shannon) {
  for (int curve = 0; curve < CELSLM_RATE_CURVES; curve++) {
    double before = 0;
    for (double sinr_db = -30; sinr_db <= 60; sinr_db += 0.05) {
      double one = celslm_rate_efficiency((celslm_rate_curve)curve, sinr_db);
      ck_assert_double_ge(one, before);
      before = one;
      for (int v = 1; v <= 8; v++) {
        double sinr = pow(10, sinr_db / 10);
        double rate = celslm_layered_efficiency((celslm_rate_curve)curve, sinr_db, v);
        ck_assert_msg(rate <= v * log2(1 + sinr / v), "%s: %d layers at %g dB: %g",
                      celslm_rate_curve_names[curve], v, sinr_db, rate);
      }
    }
    /* where one layer just decodes, two do not */
    const double edge[CELSLM_RATE_CURVES] = {-8, -8, -5, 0};
    ck_assert_int_eq(celslm_best_layers((celslm_rate_curve)curve, edge[curve], 4), 1);
    ck_assert_int_eq(celslm_best_layers((celslm_rate_curve)curve, 50, 4), 4);
  }
  celslm_cell cell = {.carrier = 3.5e9,
                      .bandwidth = 100e6,
                      .tx_power = 44,
                      .ue_tx_power = 23,
                      .antenna_gain = 18,
                      .noise_figure = 5,
                      .ue_noise_figure = 7,
                      .dl_share = 0.743,
                      .ul_share = 0.229,
                      .dl_layers = 4,
                      .ul_layers = 2};
  /* whatever the options: rates of a scenario keep below it too, whoever else is served */
  for (int i = 0; i < 4 * 3 * 2 * 2; i++) {
    celslm_radio_config c = {.curve = i % 4,
                             .fading = (celslm_fading)(i / 4 % 3),
                             .bler = i / 12 % 2 ? NAN : 0,
                             .harq_factor = 1,
                             .adapt_layers = i / 12 % 2,
                             .proportional_fair = i / 24 % 2};
    double gain = c.proportional_fair ? CELSLM_FAIR_GAIN_MOST : 1;
    for (double sinr = -15; sinr < 60; sinr += 0.25)
      for (int up = 0; up < 2; up++) {
        int v;
        double rate = celslm_link_rate(&cell, &c, up ? cell.ul_share : cell.dl_share, sinr, up, &v);
        ck_assert_double_le(rate * 8 * gain, v * 100e6 * log2(1 + pow(10, sinr / 10) / v));
      }
  }
}
END_TEST

/* Attenuated Shannon averaged over Rayleigh fading is 0.75 of the closed form, away from its cap
 * and its floor. */
START_TEST(test_ergodic_rate) {
  celslm_cell cell = {.carrier = 3.5e9, .bandwidth = 8e6 / 0.86, .dl_layers = 1};
  celslm_radio_config c = {.fading = CELSLM_FADING_ERGODIC, .bler = NAN};
  for (double snr = 5; snr <= 15; snr += 2.5) {
    double efficiency = celslm_link_rate(&cell, &c, 1, snr, false, NULL) * 1e-6;
    ck_assert_double_eq_tol(efficiency, 0.75 * celslm_ergodic_efficiency(celslm_from_db(snr)),
                            0.01 * efficiency);
  }
}
END_TEST

/* The names that a scenario gives to walls and curves are those of the models, in their order. */
START_TEST(test_names_in_scenarios) {
  for (int i = 0; i < CELSLM_WALLS + CELSLM_RATE_CURVES; i++) {
    bool wall = i < CELSLM_WALLS;
    int at = wall ? i : i - CELSLM_WALLS;
    char *text = celslm_format(
        "<scenario name=\"t\"><platform file=\"pair.xml\"/><models><model "
        "file=\"models/big.xml\"/></models><engines><engine name=\"cloud\" host=\"cloud\" "
        "model=\"big\"/></engines><radio><channel><umi/></channel><link curve=\"%s\"/>"
        "<ues cell=\"gnb0\" count=\"1\" max_distance=\"20m\" wall=\"%s\"/></radio><workload "
        "requests=\"1\"><arrivals><poisson rate=\"1/s\"/></arrivals><prompt><fixed "
        "tokens=\"1\"/></prompt><output><fixed tokens=\"1\"/></output></workload>"
        "<strategy><cloud-only/></strategy></scenario>",
        wall ? "lte" : celslm_rate_curve_names[at], wall ? celslm_wall_names[at] : "low");
    celslm_error err = {0};
    celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
    ck_assert_msg(s != NULL, "%s", err.text);
    ck_assert_int_eq(wall ? s->radio.ues[0].wall : s->radio.curve, at);
    celslm_scenario_free(s);
    free(text);
  }
}
END_TEST

START_TEST(test_tables) {
  for (int level = CELSLM_LINK_AWGN; level <= CELSLM_LINK_PRACTICAL; level++)
    for (int mcs = 0; mcs < 28; mcs++) {
      double threshold = celslm_mcs_threshold((celslm_link_level)level, 2, mcs);
      double before = mcs ? celslm_mcs_threshold((celslm_link_level)level, 2, mcs - 1) : -INFINITY;
      ck_assert_msg(threshold > before, "level %d, MCS %d: %g", level, mcs, threshold);
      ck_assert_double_gt(log2(1 + celslm_from_db(threshold)), celslm_mcs_efficiency(2, mcs));
      ck_assert_int_eq(celslm_mcs_at((celslm_link_level)level, 2, threshold), mcs);
    }
  ck_assert_int_eq(celslm_mcs_at(CELSLM_LINK_PRACTICAL, 2, -1), -1);
  ck_assert_int_eq(celslm_mcs_at(CELSLM_LINK_AWGN, 1, 50), 28);
  ck_assert(isnan(celslm_mcs_efficiency(2, 28)) && isnan(celslm_mcs_efficiency(1, 29)));
  ck_assert(isnan(celslm_mcs_efficiency(3, 0)) && isnan(celslm_mcs_efficiency(2, -1)));
  ck_assert(isnan(celslm_cqi_efficiency(1, 0)) && isnan(celslm_cqi_efficiency(4, 1)));
  ck_assert_double_eq(celslm_cqi_efficiency(1, 15), 5.5547);
  ck_assert_double_eq(celslm_cqi_efficiency(3, 1), 0.0586);
  ck_assert_double_eq(celslm_mcs_efficiency(1, 17), 2.5664); /* 64QAM: less than MCS 16 */
}
END_TEST

START_TEST(test_harq) {
  celslm_harq h = celslm_harq_of(0.1, 1, 0);
  ck_assert_double_eq_tol(h.efficiency, 0.9, 1e-12);
  ck_assert_double_eq_tol(h.attempts - 1, 0.1 / 0.9, 1e-12);
  ck_assert_double_eq(h.residual, 0);
  h = celslm_harq_of(0.1, 0, 4); /* the second always succeeds */
  ck_assert_double_eq_tol(h.attempts, 1.1, 1e-12);
  ck_assert_double_eq_tol(h.efficiency, 1 / 1.1, 1e-12);
  h = celslm_harq_of(0.1, 0.2, 2);
  ck_assert_double_eq_tol(h.residual, 0.1 * 0.02, 1e-15);
  ck_assert_double_eq_tol(h.efficiency, (1 - 0.002) / 1.1, 1e-12);
  h = celslm_harq_of(0.1, 1, 1);
  ck_assert_double_eq_tol(h.efficiency, 0.9, 1e-12);
  h = celslm_harq_of(0, 1, 0);
  ck_assert_double_eq(h.efficiency, 1);
}
END_TEST

START_TEST(test_fading) {
  for (double db = -30; db <= 50;
       db += 10) { /* against the integral over the exponential density */
    double mean = pow(10, db / 10), sum = 0;
    enum { STEPS = 200000 };
    for (int i = 0; i < STEPS; i++) sum += log2(1 + mean * -log1p(-(i + 0.5) / STEPS));
    ck_assert_double_eq_tol(celslm_ergodic_efficiency(mean) * STEPS / sum, 1, 1e-4);
    ck_assert_double_lt(celslm_ergodic_efficiency(mean), log2(1 + mean));
  }
  ck_assert_double_eq(celslm_ergodic_efficiency(0), 0);
  ck_assert_double_gt(celslm_ergodic_efficiency(1e-9), 0);
  ck_assert_double_eq_tol(celslm_rayleigh_outage(1, 10), 1 - exp(-0.1), 1e-15);
  ck_assert_double_eq_tol(celslm_shadow_outage(8, 8), 0.158655, 1e-6);
  ck_assert_double_eq(celslm_shadow_outage(1, 0), 0);
}
END_TEST

/* ---- time ------------------------------------------------------------------------------------ */

START_TEST(test_timing) {
  const double paired[] = {2.14e-3, 1.14e-3, 0.73e-3, 0.44e-3};
  for (int mu = 0; mu < 4; mu++)
    ck_assert_double_eq_tol(celslm_user_plane(NULL, mu, 1, false, 0), paired[mu], 5e-6);
  const celslm_tdd *t = celslm_tdd_find("DDDSU");
  ck_assert_double_eq_tol(celslm_tdd_share(t, false), 52.0 / 70, 1e-12);
  ck_assert_double_eq_tol(celslm_tdd_share(t, true), 16.0 / 70, 1e-12);
  ck_assert_double_eq(celslm_tdd_share(NULL, true), 1);
  ck_assert_double_eq_tol(celslm_mean_wait(t, 1, true), 1.25e-3, 1e-12); /* every 2.5 ms */
  ck_assert_double_eq_tol(celslm_max_wait(t, 1, true), 2.5e-3, 1e-12);
  ck_assert_double_eq_tol(celslm_mean_wait(t, 1, false), 0.5e-3 * (3 + 4) / 10, 1e-12);
  ck_assert_double_eq_tol(celslm_max_wait(t, 1, false), 1e-3, 1e-12);
  const celslm_tdd *two = celslm_tdd_find("7DS2U");
  ck_assert_double_eq_tol(celslm_mean_wait(two, 1, true), 0.5e-3 * (1 + 81) / 20, 1e-12);
  double paired_trip = celslm_harq_round_trip(NULL, 1, 1);
  double pattern_trip = celslm_harq_round_trip(t, 1, 1);
  ck_assert(paired_trip > 2e-3 && paired_trip < 3e-3);
  ck_assert(pattern_trip > 3e-3 && pattern_trip < 5e-3);
  ck_assert_double_eq_tol(celslm_user_plane(t, 1, 1, true, 0.5) -
                              celslm_user_plane(t, 1, 1, true, 0),
                          pattern_trip / 2, 1e-15);
  for (int period = 1; period <= 5; period++) {
    double slots = celslm_uplink_request(1, 1, period) / celslm_slot(1);
    ck_assert(slots > 3 && slots < 6);
  }
  ck_assert(isnan(celslm_processing_symbols(CELSLM_N1, 2, 3)));
  ck_assert_double_eq(celslm_processing_symbols(CELSLM_N2, 2, 1), 5.5);
  ck_assert_ptr_null(celslm_tdd_find("UUU"));
  ck_assert_double_eq_tol(celslm_peak_rate(4, 8, 1, 273, 1, 0.14), 2337e6, 0.5e6);
}
END_TEST

RUN_SUITE("radio_properties", test_loss_grows, test_options, test_attenuation, test_blocker_loss,
          test_budget, test_rate_below_shannon, test_ergodic_rate, test_names_in_scenarios,
          test_tables, test_harq, test_fading, test_timing)
