/* rain.c - attenuation by rain: ITU-R P.838-3, equations 1 to 5 and tables 1 to 4. */
#include "net/radio/atmosphere.h"

#include <math.h>

/* sum of a exp(-((log f - b) / c)^2), plus m log f + c0 */
typedef struct fit {
  int n;
  double a[5], b[5], c[5], m, c0;
} fit;

static const fit k_h = {4,
                        {-5.33980, -0.35351, -0.23789, -0.94158},
                        {-0.10008, 1.26970, 0.86036, 0.64552},
                        {1.13098, 0.45400, 0.15354, 0.16817},
                        -0.18961,
                        0.71147};
static const fit k_v = {4,
                        {-3.80595, -3.44965, -0.39902, 0.50167},
                        {0.56934, -0.22911, 0.73042, 1.07319},
                        {0.81061, 0.51059, 0.11899, 0.27195},
                        -0.16398,
                        0.63297};
static const fit alpha_h = {5,
                            {-0.14318, 0.29591, 0.32177, -5.37610, 16.1721},
                            {1.82442, 0.77564, 0.63773, -0.96230, -3.29980},
                            {-0.55187, 0.19822, 0.13164, 1.47828, 3.43990},
                            0.67849,
                            -1.95537};
static const fit alpha_v = {5,
                            {-0.07771, 0.56727, -0.20238, -48.2991, 48.5833},
                            {2.33840, 0.95545, 1.14520, 0.791669, 0.791459},
                            {-0.76284, 0.54039, 0.26809, 0.116226, 0.116479},
                            -0.053739,
                            0.83433};

static double evaluate(const fit *t, double log_f) {
  double sum = t->m * log_f + t->c0;
  for (int i = 0; i < t->n; i++) {
    double x = (log_f - t->b[i]) / t->c[i];
    sum += t->a[i] * exp(-x * x);
  }
  return sum;
}

celslm_rain celslm_rain_coefficients(double carrier, double elevation, double tilt) {
  const double degree = 3.14159265358979323846 / 180;
  double log_f = log10(carrier * 1e-9), cosine = cos(elevation * degree);
  double turn = cosine * cosine * cos(2 * tilt * degree);
  double kh = pow(10, evaluate(&k_h, log_f)), kv = pow(10, evaluate(&k_v, log_f));
  double ah = evaluate(&alpha_h, log_f), av = evaluate(&alpha_v, log_f);
  celslm_rain rain = {.k = (kh + kv + (kh - kv) * turn) / 2};
  rain.alpha = (kh * ah + kv * av + (kh * ah - kv * av) * turn) / (2 * rain.k);
  return rain;
}

double celslm_rain_attenuation(double carrier, double rate, double elevation, double tilt) {
  celslm_rain rain = celslm_rain_coefficients(carrier, elevation, tilt);
  return rain.k * pow(rate, rain.alpha);
}
