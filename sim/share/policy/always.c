/* always.c - every context is let in. */
#include "share/cache.h"

static bool admits(double asked, double victim) {
  (void)asked, (void)victim;
  return true;
}

extern const celslm_admission celslm_admission_always;
const celslm_admission celslm_admission_always = {
    .name = "always",
    .summary = "every context that is asked for",
    .source = "the default of LRU stores",
    .admits = admits,
};
