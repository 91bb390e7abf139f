/* radio.h - rows about users, cells and faults: tables that a results file has when its scenario
 * gives the radio more than path loss, or faults. */
#ifndef CELSLM_RECORD_RADIO_H
#define CELSLM_RECORD_RADIO_H

#include "record/record.h"

/* One row per user at the start of the run: /users */
typedef struct celslm_user_row {
  uint8_t strategy, los, indoor;
  uint32_t ue, cell, layers_down, layers_up;
  double x, y;               /* m */
  double loss;               /* dB, to its cell */
  double sinr_down, sinr_up; /* dB */
  double rate_down, rate_up; /* B/s alone in the cell */
  double latency_down, latency_up;
} celslm_user_row;
extern const celslm_column celslm_user_columns[];
extern const size_t celslm_user_n_columns;

/* One row per moving user and step (results trajectory="yes"): /trajectory */
typedef struct celslm_trajectory_row {
  uint8_t strategy;
  uint32_t ue, cell;
  double time, x, y;
  double sinr_down, sinr_up, rate_down, rate_up;
} celslm_trajectory_row;
extern const celslm_column celslm_trajectory_columns[];
extern const size_t celslm_trajectory_n_columns;

/* One row per handover: /handovers */
typedef struct celslm_handover_row {
  uint8_t strategy, cause;
  uint32_t ue, cell, to;
  double time;
} celslm_handover_row;
extern const celslm_column celslm_handover_columns[];
extern const size_t celslm_handover_n_columns;
extern const char *const celslm_handover_causes[]; /* NULL-terminated */

/* One row per dropped request: /drops */
typedef struct celslm_drop_row {
  uint8_t strategy, reason;
  uint32_t request;
  double time;
} celslm_drop_row;
extern const celslm_column celslm_drop_columns[];
extern const size_t celslm_drop_n_columns;

/* One row per change of a link, cell or host by a fault: /faults */
typedef struct celslm_fault_row {
  uint8_t strategy, kind; /* 0 link, 1 cell, 2 host */
  uint32_t target;        /* link of /links, cell, or host of the platform */
  double time, speed;
} celslm_fault_row;
extern const celslm_column celslm_fault_columns[];
extern const size_t celslm_fault_n_columns;
extern const char *const celslm_fault_kinds[]; /* NULL-terminated */

/* One row per place of a map (`celslm radio S.xml -o MAP.h5`): /map */
typedef struct celslm_map_row {
  uint32_t cell; /* heard best */
  double x, y, sinr_down, rate_down, rate_up;
} celslm_map_row;
extern const celslm_column celslm_map_columns[];
extern const size_t celslm_map_n_columns;

#endif
