/* correctness.h - whose answers are right: <correctness>, as plain numbers. How it is drawn:
 * load/correctness.h. */
#ifndef CELSLM_SCENARIO_CORRECTNESS_H
#define CELSLM_SCENARIO_CORRECTNESS_H

enum { CELSLM_MOST_JUDGED = 32 }; /* models of a scenario that declares it */

typedef struct celslm_correctness_config {
  double *accuracy;   /* by model: share of requests it answers rightly; NULL: not declared */
  double correlation; /* of the troubles of any two models with one request, 0..1; NaN: `either` */
  double either;      /* of two models: share of requests that at least one answers rightly */
  double score;       /* correlation of what a router sees with a request's difficulty, 0..1 */
  double confidence;  /* of a model's doubt in its answer with the trouble it had, 0..1 */
} celslm_correctness_config;

#endif
