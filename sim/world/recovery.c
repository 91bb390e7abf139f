#include "world/recovery.h"

#include <math.h>

void celslm_recovery_init(celslm_run_recovery *r) {
  *r = (celslm_run_recovery){.over = CELSLM_NEVER, .longest = -1};
}

static void look(celslm_run_recovery *r, celslm_ns now) {
  if (!r->waiting || r->broken || (double)r->present > fmax(ceil(r->usual), 1)) return;
  r->waiting = false;
  if (now - r->over > r->longest) r->longest = now - r->over;
}

void celslm_recovery_present(celslm_run_recovery *r, celslm_ns now, int change) {
  if (!r->ever) r->integral += (double)r->present * (double)(now - r->since);
  r->since = now;
  r->present += change;
  if (r->present > r->most) r->most = r->present;
  look(r, now);
}

void celslm_recovery_fault(celslm_run_recovery *r, celslm_ns now, double before, double speed) {
  if (!r->ever) {
    celslm_recovery_present(r, now, 0);
    r->usual = now > 0 ? r->integral / (double)now : 0;
    r->ever = true;
    r->most = r->present;
  }
  r->waiting = true;
  r->broken += (speed < 1) - (before < 1);
  if (r->broken) return;
  r->over = now;
  look(r, now);
}

double celslm_recovery_time(const celslm_run_recovery *r) {
  return !r->ever || r->waiting || r->longest < 0 ? NAN : celslm_seconds(r->longest);
}

double celslm_recovery_backlog(const celslm_run_recovery *r) {
  return r->ever ? fmax((double)r->most - r->usual, 0) : NAN;
}
