/* radio.c - the columns of the tables about users, cells and faults. */
#include "record/radio.h"

#include "record/columns.h"
#include "record/request.h"

static const char strategy[] = "which strategy served this run";

const char *const celslm_handover_causes[] = {"a3", "link failure", NULL};
const char *const celslm_fault_kinds[] = {"link", "cell", "host", NULL};

#define USER(field, units, description) COLUMN(celslm_user_row, field, units, description)
const celslm_column celslm_user_columns[] = {
    USER(strategy, "1", strategy),
    USER(los, "1", "1: in line of sight of its base station"),
    USER(indoor, "1", "1: inside a building"),
    USER(ue, "1", "user equipment"),
    USER(cell, "1", "radio cell that serves it at the start"),
    USER(layers_down, "1", "spatial layers from the base station"),
    USER(layers_up, "1", "spatial layers towards the base station"),
    USER(x, "m", "place at the start"),
    USER(y, "m", "place at the start"),
    USER(loss, "dB", "between isotropic antennas, without fast fading and blockage"),
    USER(sinr_down, "dB", "signal over interference and noise from the base station"),
    USER(sinr_up, "dB", "the same at the base station"),
    USER(rate_down, "B/s", "while it has the whole air from the base station"),
    USER(rate_up, "B/s", "the same towards the base station"),
    USER(latency_down, "s", "mean through the user plane of an idle cell"),
    USER(latency_up, "s", "the same towards the base station"),
};
const size_t celslm_user_n_columns = LENGTH(celslm_user_columns);

#define TRAJECTORY(field, units, description)                                                      \
  COLUMN(celslm_trajectory_row, field, units, description)
const celslm_column celslm_trajectory_columns[] = {
    TRAJECTORY(strategy, "1", strategy),
    TRAJECTORY(ue, "1", "user equipment"),
    TRAJECTORY(cell, "1", "radio cell that serves it"),
    TRAJECTORY(time, "s", "time of the step"),
    TRAJECTORY(x, "m", "place, eastward"),
    TRAJECTORY(y, "m", "place, northward"),
    TRAJECTORY(sinr_down, "dB", "signal over interference and noise from the base station"),
    TRAJECTORY(sinr_up, "dB", "the same at the base station"),
    TRAJECTORY(rate_down, "B/s", "while it has the whole air from the base station"),
    TRAJECTORY(rate_up, "B/s", "the same towards the base station"),
};
const size_t celslm_trajectory_n_columns = LENGTH(celslm_trajectory_columns);

#define HANDOVER(field, units, description) COLUMN(celslm_handover_row, field, units, description)
const celslm_column celslm_handover_columns[] = {
    HANDOVER(strategy, "1", strategy),
    NAMED(celslm_handover_row, cause, "1", celslm_handover_causes, "event A3, or a link failure"),
    HANDOVER(ue, "1", "user equipment"),
    HANDOVER(cell, "1", "radio cell that it left"),
    HANDOVER(to, "1", "radio cell that serves it from now on"),
    HANDOVER(time, "s", "when it arrived there"),
};
const size_t celslm_handover_n_columns = LENGTH(celslm_handover_columns);

#define DROP(field, units, description) COLUMN(celslm_drop_row, field, units, description)
const celslm_column celslm_drop_columns[] = {
    DROP(strategy, "1", strategy),
    NAMED(celslm_drop_row, reason, "1", celslm_reason_names, "why the request was dropped"),
    DROP(request, "1", "id of the request"),
    DROP(time, "s", "when it ended"),
};
const size_t celslm_drop_n_columns = LENGTH(celslm_drop_columns);

#define FAULT(field, units, description) COLUMN(celslm_fault_row, field, units, description)
const celslm_column celslm_fault_columns[] = {
    FAULT(strategy, "1", strategy),
    NAMED(celslm_fault_row, kind, "1", celslm_fault_kinds,
          "what changed: a link, a cell or a host"),
    FAULT(target, "1",
          "number of the link in /links, of the cell, or of the host in the platform file"),
    FAULT(time, "s", "time of the change"),
    FAULT(speed, "1", "share of its nominal speed that it has from now on; 0: it is down"),
};
const size_t celslm_fault_n_columns = LENGTH(celslm_fault_columns);

#define MAP(field, units, description) COLUMN(celslm_map_row, field, units, description)
const celslm_column celslm_map_columns[] = {
    MAP(cell, "1", "radio cell heard best"),
    MAP(x, "m", "place, eastward"),
    MAP(y, "m", "place, northward"),
    MAP(sinr_down, "dB", "signal over interference and noise from the base station"),
    MAP(rate_down, "B/s", "while it has the whole air from the base station"),
    MAP(rate_up, "B/s", "the same towards the base station"),
};
const size_t celslm_map_n_columns = LENGTH(celslm_map_columns);
