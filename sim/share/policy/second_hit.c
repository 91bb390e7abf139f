/* second_hit.c - keeps out what is asked for once and never again. */
#include "share/cache.h"

static bool admits(double asked, double victim) {
  (void)victim;
  return asked >= 2;
}

extern const celslm_admission celslm_admission_second_hit;
const celslm_admission celslm_admission_second_hit = {
    .name = "second-hit",
    .summary = "from the second time on, also while there is room",
    .source = "cache-on-second-hit: Maggs and Sitaraman, ACM SIGCOMM CCR 45(3), 2015",
    .admits = admits,
};
