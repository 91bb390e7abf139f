/* accounting.h - what a run drew and cost: joules and money of hosts, links and radio.
 *
 * Hosts that serve are on for the whole run: they draw idle power (device profile, times their
 * accelerators) and, while their engines compute, the rest up to the busy power of their performance
 * state; several engines on a host share it, so it is busy at most all of the time. A host that
 * computes only a stage of a model split over hosts counts as busy whenever the engine is.
 * Links draw their energy per byte. The power amplifiers of a cell draw the power they send over
 * their efficiency, in the direction's share of the time in which the air was in use.
 * Rent is paid for every accelerator of a host by the second; what is rented pays no electricity,
 * nor does a link with a price of its own. Everything is 0 where the platform gives no number.
 *
 * CPR and PCR = U / CPR, U = a Q + (1 - a) R are of "Edge-First" (arXiv 2505.16508). What R is was
 * not available to us: here it is the share of responses within the objectives, our reading. */
#ifndef CELSLM_WORLD_ACCOUNTING_H
#define CELSLM_WORLD_ACCOUNTING_H

#include "record/request.h"
#include "strategy/system.h"

/* By host, the caller's to free; `busy` is negative where a host serves nothing. `duration`: s of
 * the run. One pass over hosts and engines, as there may be tens of thousands. */
celslm_host_row *celslm_account_hosts(const celslm_system *s, double duration);
/* By link as SimGrid has them: the platform's, NULL: one of SimGrid's own. The caller's to free. */
const celslm_link **celslm_account_links(const celslm_system *s);
/* These fill the figures of their row. */
void celslm_account_link(const celslm_system *s, const celslm_link *l, double bytes,
                         celslm_link_row *row);
void celslm_account_cell(const celslm_system *s, int cell, celslm_cell_row *row);
/* The summary's figures; its wan_bytes, completed and slo_share are filled already. `quality`: sum
 * over the completed requests of that of the engine which answered. */
void celslm_account_summary(const celslm_system *s, double duration, double quality,
                            celslm_summary_row *row);

#endif
