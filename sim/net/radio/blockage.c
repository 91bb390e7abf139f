#include "net/radio/blockage.h"

#include <gsl/gsl_randist.h>
#include <math.h>

#define PI 3.14159265358979323846

/* ---- free and blocked, in turn --------------------------------------------------------------- */

const celslm_crowd celslm_crowd_default = {0.01, 1, 1.8, 0.5};

double celslm_blockage_rate(const celslm_crowd *c, double h_bs, double h_ut, double d) {
  /* the share of the path that is low enough */
  double low = h_bs > h_ut ? (c->height - h_ut) / (h_bs - h_ut) : c->height > h_ut ? 1 : 0;
  return 2 / PI * c->density * c->speed * fmin(fmax(low, 0), 1) * d;
}

double celslm_blocked_share(const celslm_crowd *c, double rate) {
  return rate * c->duration / (1 + rate * c->duration);
}

double celslm_blockage_time(const celslm_crowd *c, double rate, bool blocked, gsl_rng *r) {
  double unit = gsl_ran_exponential(r, 1);
  if (blocked) return unit * c->duration;
  return rate > 0 ? unit / rate : INFINITY;
}

/* ---- model A --------------------------------------------------------------------------------- */

/* Of two azimuths, in (-180, 180]. */
static double turn(double a, double b) {
  double d = fmod(a - b, 360);
  return d > 180 ? d - 360 : d <= -180 ? d + 360 : d;
}

double celslm_self_blockage(celslm_grip grip, double azimuth, double zenith) {
  static const struct {
    double azimuth, width, zenith, height;
  } body[] = {{260, 120, 100, 80}, {40, 160, 110, 75}}; /* table 7.6.4.1-1 */
  bool hit = fabs(turn(azimuth, body[grip].azimuth)) < body[grip].width / 2 &&
             fabs(zenith - body[grip].zenith) < body[grip].height / 2;
  return hit ? 30 : 0;
}

static double centre(const celslm_blocker *b) {
  return 360 * celslm_uniform_of(b->centre.value);
}

/* Table 7.6.4.1-2. */
void celslm_blockers_draw(celslm_blocker *b, int n, bool indoors, gsl_rng *r) {
  for (int i = 0; i < n; i++) {
    b[i] = (celslm_blocker){.zenith = 90, .height = 5, .distance = indoors ? 2 : 10};
    b[i].width = indoors ? gsl_ran_flat(r, 15, 45) : gsl_ran_flat(r, 5, 15);
    if (indoors) b[i].height = gsl_ran_flat(r, 5, 15);
    celslm_walk_step(&b[i].centre, 0, 1, r);
    b[i].azimuth = centre(&b[i]);
  }
}

void celslm_blockers_move(celslm_blocker *b, int n, double moved, double time, double speed,
                          double correlation, gsl_rng *r) {
  /* exp(-(moved / correlation + time / (correlation / speed))) */
  double distance = fabs(moved) + fabs(time) * speed;
  for (int i = 0; i < n; i++) {
    celslm_walk_step(&b[i].centre, distance, correlation, r);
    b[i].azimuth = centre(&b[i]);
  }
}

/* Equation 7.6-23 for an edge at `angle` degrees from the ray; negative where the ray passes
 * outside of this edge. */
static double edge(double angle, bool outside, double wave, double distance) {
  double bend = 1 / cos(angle * PI / 180) - 1;
  double f = atan(PI / 2 * sqrt(PI / wave * distance * fmax(bend, 0))) / PI;
  return outside ? -f : f;
}

/* Equation 7.6-22 and table 7.6.4.1-3. */
double celslm_blocker_loss(const celslm_blocker *b, double azimuth, double zenith, double carrier) {
  double a = turn(azimuth, b->azimuth), z = zenith - b->zenith, wave = 299792458.0 / carrier;
  if (fabs(a) >= b->width || fabs(z) >= b->height) return 0;
  double across = edge(a - b->width / 2, a > b->width / 2, wave, b->distance) +
                  edge(a + b->width / 2, a <= -b->width / 2, wave, b->distance);
  double along = edge(z - b->height / 2, z > b->height / 2, wave, b->distance) +
                 edge(z + b->height / 2, z <= -b->height / 2, wave, b->distance);
  return -20 * log10(1 - across * along);
}
