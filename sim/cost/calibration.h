/* calibration.h - all of a calibration: measures this machine, fits its curves (curves.h), checks
 * them on whole layers and on a whole small model, and makes the device profile.
 *
 * Kernels, layers and the model are timed in the same rounds, so that both see the same machine. */
#ifndef CELSLM_COST_CALIBRATION_H
#define CELSLM_COST_CALIBRATION_H

#include "cost/coding.h"
#include "cost/curves.h"
#include "cost/layer.h"
#include "cost/plan.h"
#include "cost/whole.h"

typedef struct celslm_calibration_options {
  const celslm_model *models; /* whose shapes are timed; layers of the first are the check */
  int n_models;
  int threads; /* 0: one per processor */
  bool quick;
  /* Called now and then with what is being done and how much of it is; may be NULL. */
  void (*progress)(const char *what, double share);
} celslm_calibration_options;

enum { CELSLM_LAYER_CASES = 10 };

typedef struct celslm_calibration {
  celslm_machine machine;
  celslm_plan plan; /* with the times */
  celslm_curve_fit fits[CELSLM_CURVES];
  celslm_profile *profile;
  int repeats;
  celslm_layer_case layers[CELSLM_LAYER_CASES];
  double predicted[CELSLM_LAYER_CASES];         /* s */
  double layers_median, layers_p95;             /* of |predicted/measured - 1| */
  celslm_whole_case passes[CELSLM_WHOLE_CASES]; /* of a whole small model */
  double whole_predicted[CELSLM_WHOLE_CASES];   /* s */
  double whole_median, whole_p95;
  celslm_codec_cost codecs[CELSLM_CODINGS]; /* the profile's from when there is one */
  double bf16_speed, int8_speed;            /* of products, over those of f32 */
  double spread, others, stolen, load;      /* how quiet the machine was: machine.h */
  bool noisy;
} celslm_calibration;

/* On failure *c is cleared. */
bool celslm_calibrate(const celslm_calibration_options *options, celslm_calibration *c,
                      celslm_error *err);
void celslm_calibration_clear(celslm_calibration *c);
/* The timings as a table: what was timed, its work, its seconds, the curve's seconds. */
bool celslm_calibration_save_timings(const celslm_calibration *c, const char *file,
                                     celslm_error *err);

#endif
