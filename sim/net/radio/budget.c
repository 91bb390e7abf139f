#include "net/radio/budget.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double celslm_from_db(double db) {
  return pow(10, db / 10);
}

double celslm_to_db(double ratio) {
  return 10 * log10(ratio);
}

double celslm_noise(double bandwidth, double noise_figure) {
  return -174 + 10 * log10(bandwidth) + noise_figure;
}

static double cut(double angle) {
  return fmin(12 * (angle / 65) * (angle / 65), 30);
}

double celslm_element_gain(double azimuth, double zenith) {
  azimuth = remainder(azimuth, 360);
  return 8 - fmin(cut(azimuth) + cut(zenith - 90), 30);
}

double celslm_array_gain(double elements) {
  return 10 * log10(elements);
}

double celslm_sinr(double signal, double noise, int interferers, const double *powers,
                   const double *activity) {
  double disturbing = celslm_from_db(noise);
  for (int i = 0; i < interferers; i++)
    disturbing += celslm_from_db(powers[i]) * (activity ? activity[i] : 1);
  return signal - celslm_to_db(disturbing);
}

int celslm_settle_load(int n, const double *demand, celslm_capacity *capacity, void *self,
                       double *activity) {
  double *next = celslm_alloc((unsigned long)n, sizeof *next);
  for (int i = 0; i < n; i++) activity[i] = 0;
  int round = 0, settled = 0;
  while (!settled && round < 10000) {
    double change = 0;
    for (int i = 0; i < n; i++) {
      double can = demand[i] > 0 ? capacity(self, i, activity) : 0;
      next[i] = demand[i] <= 0 ? 0 : demand[i] >= can ? 1 : demand[i] / can;
      change = fmax(change, fabs(next[i] - activity[i]));
    }
    memcpy(activity, next, (size_t)n * sizeof *next);
    settled = change < 1e-12;
    round++;
  }
  free(next);
  return settled ? round : 0;
}
