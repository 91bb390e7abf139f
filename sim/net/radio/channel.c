#include "net/radio/channel.h"

#include <stddef.h>
#include <string.h>

const celslm_channel *const celslm_channels[] = {
    &celslm_channel_umi,
    &celslm_channel_uma,
    &celslm_channel_rma,
    &celslm_channel_sma,
    &celslm_channel_inh,
    &celslm_channel_inh_open,
    &celslm_channel_inf_sl,
    &celslm_channel_inf_dl,
    &celslm_channel_inf_sh,
    &celslm_channel_inf_dh,
    &celslm_channel_inf_hh,
    &celslm_channel_nyu_umi,
    &celslm_channel_nyu_uma,
    &celslm_channel_nyu_rma,
    &celslm_channel_nyu_inh,
    &celslm_channel_nyu_inf,
    NULL,
};

const celslm_channel *celslm_channel_find(const char *name) {
  for (const celslm_channel *const *c = celslm_channels; *c; c++)
    if (strcmp((*c)->name, name) == 0) return *c;
  return NULL;
}

double celslm_los_correlation(const celslm_channel *c, const celslm_geometry *g) {
  if (c->los_correlation > 0) return c->los_correlation;
  return (g->clutter_size > 0 ? g->clutter_size : c->clutter_size) / 2;
}
