/* faults.h - what a scenario says of what breaks, and of what else its wires carry.
 *
 * <faults>: a link, cell or host is at a share of its speed (0: down) for a time, once at a given
 * time or again and again (exponential times between the end of one fault and the next, and of
 * faults). <wires>: background traffic and jitter of links, weights of classes of traffic. */
#ifndef CELSLM_SCENARIO_FAULTS_H
#define CELSLM_SCENARIO_FAULTS_H

#include <stdbool.h>

typedef enum celslm_fault_kind {
  CELSLM_FAULT_LINK,
  CELSLM_FAULT_CELL,
  CELSLM_FAULT_HOST
} celslm_fault_kind;

typedef struct celslm_fault {
  celslm_fault_kind kind;
  int target;        /* index in the platform's links, cells or hosts */
  double speed;      /* share of the nominal one; 0: down */
  double at, length; /* s; NaN: random */
  double mtbf, mttr; /* s, means; NaN: at `at` */
} celslm_fault;

typedef enum celslm_jitter {
  CELSLM_JITTER_NONE,
  CELSLM_JITTER_EXPONENTIAL,
  CELSLM_JITTER_UNIFORM, /* from 0 to twice the mean */
  CELSLM_JITTER_NORMAL   /* |N(0, s)|, the half-normal of that mean */
} celslm_jitter;

typedef struct celslm_wire {
  int link;
  double background; /* B/s */
  double on, off;    /* s, means: background comes and goes; off 0: always there */
  celslm_jitter jitter;
  double jitter_mean; /* s */
} celslm_wire;

enum { CELSLM_WEIGHTS = 6 }; /* classes of traffic, as celslm_traffic (net/net.h) */

typedef struct celslm_faults_config {
  celslm_fault *faults;
  int n;
  celslm_wire *wires;
  int n_wires;
  int weights[CELSLM_WEIGHTS]; /* >= 1: shares of links are in proportion */
} celslm_faults_config;

#endif
