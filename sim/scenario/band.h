/* band.h - platforms/bands/NAME.xml: properties that cells have in common, each with its source.
 * Internal to sim/scenario. */
#ifndef CELSLM_SCENARIO_BAND_H
#define CELSLM_SCENARIO_BAND_H

#include "scenario/platform.h"

/* Adds to the properties of a host what the band that they name says and they do not. `folder`: of
 * the profiles; bands stand beside it. The platform keeps what is read. */
bool celslm_band_add(celslm_platform *p, celslm_element *props, const celslm_element *host,
                     const char *folder, celslm_error *err);

#endif
