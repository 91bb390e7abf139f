#include "net/radio/channel.h"

#include <stddef.h>
#include <string.h>

const celslm_channel *const celslm_channels[] = {
    &celslm_channel_umi,
    NULL,
};

const celslm_channel *celslm_channel_find(const char *name) {
  for (const celslm_channel *const *c = celslm_channels; *c; c++)
    if (strcmp((*c)->name, name) == 0) return *c;
  return NULL;
}
