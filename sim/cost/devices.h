/* devices.h - which profile a published row is priced with.
 *
 * platforms/profiles/datasheets.csv names devices, the words by which tables refer to them, the
 * family they belong to and their datasheet values; the profiles in that folder hold fitted
 * efficiencies of a device under a runtime. A row is matched to the profile of its device and
 * runtime; or to one of the same family and runtime, scaled by the datasheets: rates by bandwidth
 * and 16-bit peak, overheads as they are; or to one of the same vendor and runtime, so scaled.
 * A row whose device or runtime is not known, or that no profile may be scaled to, has no match. */
#ifndef CELSLM_COST_DEVICES_H
#define CELSLM_COST_DEVICES_H

#include "cost/rows.h"
#include "scenario/profile.h"

typedef struct celslm_datasheet {
  char *device, *match, *family;  /* match: words in lower case, all of which a name must have */
  double peak, bandwidth, memory; /* FLOP/s at 16 bits, B/s, B */
  double idle, max;               /* W */
  double link;                    /* B/s to its like */
  char *source;
} celslm_datasheet;

typedef enum celslm_match_level {
  CELSLM_MATCH_DEVICE,
  CELSLM_MATCH_FAMILY,
  CELSLM_MATCH_VENDOR,
  CELSLM_MATCH_GIVEN,
  CELSLM_MATCH_NONE
} celslm_match_level;
const char *celslm_match_name(celslm_match_level level);

typedef struct celslm_devices celslm_devices;

/* All profiles and the datasheets of a folder; NULL folder: platforms/profiles here, or else of the
 * source tree. With `only`, the one profile that every row is priced with. NULL on failure. */
celslm_devices *celslm_devices_open(const char *folder, const char *only, celslm_error *err);
void celslm_devices_close(celslm_devices *d); /* NULL is allowed */

const celslm_datasheet *celslm_devices_find(const celslm_devices *d, const char *device);
/* "llama.cpp", "vLLM" ... of an engine's name with its version; NULL: not known. */
const char *celslm_runtime_of(const char *engine);

/* The profile for a device and an engine, scaled if need be; owned by `d`. NULL with *level
 * CELSLM_MATCH_NONE if there is none. *original is the shipped one. */
const celslm_profile *celslm_devices_match(celslm_devices *d, const char *device,
                                           const char *engine, celslm_match_level *level,
                                           const celslm_profile **original);

/* A deep copy as if the profile's device were another one; `from` may be NULL: no scaling. */
celslm_profile *celslm_profile_scaled(const celslm_profile *p, const celslm_datasheet *from,
                                      const celslm_datasheet *to);

/* Whether the row's key is in the profile's list. */
bool celslm_profile_fitted(const celslm_profile *p, uint32_t key);

/* The shipped model of a published name ("Llama-3-8B", "DeepSeek-R1-14B"), or else the one nearest
 * in size with as many layers as give `params`. False: neither is known. Owned by `d`. */
bool celslm_devices_model(celslm_devices *d, const char *name, double params, celslm_model *model);

#endif
