/* nyu.c - close-in models from 28 to 150 GHz: the parameters that NYU WIRELESS measured, as in the
 * NYUSIM module for ns-3 (github.com/hiteshPoddar/NYUSIM_in_ns3, a1d4000); RMa: MacCartney and
 * Rappaport's CIH, the close-in model whose exponent depends on the base station's height.
 *
 * Line-of-sight probability. UMi, UMa: the squared forms of Samimi and Rappaport as in Rappaport et
 * al., IEEE Trans. Antennas Propag. 65(12), 2017, tables I and II. RMa, InH: 3GPP's, as NYUSIM
 * does. InF: NYU gives none; ours is 3GPP's for sparse clutter and a low base station. Shadowing
 * decorrelates and fades as in the 3GPP scenario of the same name. */
#include "net/radio/nyu.h"

#include "net/radio/channel.h"

#define PI 3.14159265358979323846

double celslm_close_in_loss(double carrier, double exponent, double d) {
  return 20 * log10(4 * PI * carrier / 299792458.0) + 10 * exponent * log10(fmax(d, 1));
}

double celslm_nyu_parameter(double carrier, double at_28, double at_140) {
  double f = fmin(fmax(carrier * 1e-9, 28), 140);
  return f * (at_140 - at_28) / 112 + (5 * at_28 - at_140) / 4;
}

/* What was measured in one place: path loss exponent and standard deviation at 28 and 140 GHz. */
typedef struct measured {
  double n_28, n_140, std_28, std_140;
} measured;

static const measured umi[2] = {{2.0, 2.0, 4.0, 2.6}, {3.2, 2.9, 7.0, 8.2}};
static const measured uma[2] = {{2.0, 2.0, 4.0, 2.6}, {2.9, 2.9, 7.0, 8.2}};
static const measured inh[2] = {{1.2, 1.8, 3.0, 2.9}, {2.7, 2.7, 9.8, 6.6}};
static const measured inf[2] = {{1.7, 1.7, 3.0, 3.0}, {3.1, 3.1, 7.0, 7.0}};

static double loss_of(const measured *m, const celslm_geometry *g) {
  double n = celslm_nyu_parameter(g->carrier, m->n_28, m->n_140);
  return celslm_close_in_loss(g->carrier, n, celslm_distance_3d(g));
}

static double std_of(const measured m[2], const celslm_geometry *g, celslm_link_state state) {
  const measured *of = &m[state != CELSLM_LOS];
  return celslm_nyu_parameter(g->carrier, of->std_28, of->std_140);
}

static double loss_umi(const celslm_geometry *g, bool los) {
  return loss_of(&umi[!los], g);
}

static double loss_uma(const celslm_geometry *g, bool los) {
  return loss_of(&uma[!los], g);
}

static double loss_inh(const celslm_geometry *g, bool los) {
  return loss_of(&inh[!los], g);
}

static double loss_inf(const celslm_geometry *g, bool los) {
  return loss_of(&inf[!los], g);
}

static double loss_rma(const celslm_geometry *g, bool los) {
  double height = (g->h_bs - 35) / 35;
  double n = los ? 2.31 * (1 - 0.03 * height) : 3.07 * (1 - 0.049 * height);
  return celslm_close_in_loss(g->carrier, n, celslm_distance_3d(g));
}

static double std_umi(const celslm_geometry *g, celslm_link_state state) {
  return std_of(umi, g, state);
}

static double std_uma(const celslm_geometry *g, celslm_link_state state) {
  return std_of(uma, g, state);
}

static double std_inh(const celslm_geometry *g, celslm_link_state state) {
  return state == CELSLM_O2I ? NAN : std_of(inh, g, state);
}

static double std_inf(const celslm_geometry *g, celslm_link_state state) {
  return state == CELSLM_O2I ? NAN : std_of(inf, g, state);
}

static double std_rma(const celslm_geometry *g, celslm_link_state state) {
  (void)g;
  return state == CELSLM_LOS ? 1.7 : 6.7;
}

static double squared(double d, double d1, double d2, double height_term) {
  if (d <= d1) return 1;
  double p = (d1 / d * (1 - exp(-d / d2)) + exp(-d / d2)) * (1 + height_term);
  return fmin(1, p * p);
}

static double probability_umi(const celslm_geometry *g) {
  return squared(g->distance, 22, 100, 0);
}

static double probability_uma(const celslm_geometry *g) {
  double d = g->distance / 100;
  double high = g->h_ut <= 13 ? 0 : pow((g->h_ut - 13) / 10, 1.5);
  return squared(g->distance, 20, 160, high * 1.25 * d * d * d * exp(-g->distance / 150));
}

static double probability_rma(const celslm_geometry *g) {
  return celslm_channel_rma.los_probability(g);
}

static double probability_inh(const celslm_geometry *g) {
  return celslm_channel_inh.los_probability(g);
}

static double probability_inf(const celslm_geometry *g) {
  return celslm_channel_inf_sl.los_probability(g);
}

#define RANGE(FROM, TO)                                                                            \
  .min_distance = FROM, .max_distance = TO, .min_carrier = 28e9, .max_carrier = 150e9

const celslm_channel celslm_channel_nyu_umi = {
    .name = "nyu-umi",
    .summary = "urban micro, close-in model of NYU's measurements, 28-150 GHz",
    .loss = loss_umi,
    .los_probability = probability_umi,
    .shadow_std = std_umi,
    .h_bs = 10,
    .h_ut = 1.5,
    .decorrelation = {10, 13, 7},
    .los_correlation = 50,
    .rician_mean = 9,
    .rician_std = 5,
    RANGE(1, 500),
};

const celslm_channel celslm_channel_nyu_uma = {
    .name = "nyu-uma",
    .summary = "urban macro, close-in model of NYU's measurements, 28-150 GHz",
    .loss = loss_uma,
    .los_probability = probability_uma,
    .shadow_std = std_uma,
    .h_bs = 25,
    .h_ut = 1.5,
    .decorrelation = {37, 50, 7},
    .los_correlation = 50,
    .rician_mean = 9,
    .rician_std = 3.5,
    RANGE(1, 1500),
};

const celslm_channel celslm_channel_nyu_rma = {
    .name = "nyu-rma",
    .summary = "rural macro, close-in model with base station height (CIH) of NYU, 28-150 GHz",
    .loss = loss_rma,
    .los_probability = probability_rma,
    .shadow_std = std_rma,
    .h_bs = 35,
    .h_ut = 1.5,
    .decorrelation = {37, 120, 120},
    .los_correlation = 60,
    .rician_mean = 7,
    .rician_std = 4,
    RANGE(1, 10000),
};

const celslm_channel celslm_channel_nyu_inh = {
    .name = "nyu-inh",
    .summary = "indoor office, close-in model of NYU's measurements, 28-150 GHz",
    .loss = loss_inh,
    .los_probability = probability_inh,
    .shadow_std = std_inh,
    .h_bs = 3,
    .h_ut = 1,
    .decorrelation = {10, 6, 0},
    .los_correlation = 10,
    .rician_mean = 7,
    .rician_std = 4,
    RANGE(1, 150),
};

const celslm_channel celslm_channel_nyu_inf = {
    .name = "nyu-inf",
    .summary = "indoor factory, close-in model of NYU's measurements, 28-150 GHz",
    .loss = loss_inf,
    .los_probability = probability_inf,
    .shadow_std = std_inf,
    .h_bs = 1.5,
    .h_ut = 1.5,
    .decorrelation = {10, 10, 0},
    .rician_mean = 7,
    .rician_std = 8,
    .clutter_size = 10,
    .clutter_density = 0.2,
    .clutter_height = 2,
    RANGE(1, 600),
};
