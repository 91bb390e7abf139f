/* tier.h - where contexts go that an accelerator's memory has no room for: the host's memory behind
 * PCIe, and its disk. Bounded room, a queue of its own.
 *
 * Tiers stand below each other: memory, host memory, disk. A context is copied whole into the first
 * one when it is pushed out of memory; if room is short there, the context goes on to the next tier
 * that was used longest ago (LRU), and from the last one it is lost. It stays where it
 * is when it is read back: a later push finds the copy and costs nothing. Copying is behind: memory
 * is free at once, and the data wait in a buffer. While what is queued would take longer than
 * CELSLM_TIER_BACKLOG, a tier takes nothing more (the buffer is full), and the next one is asked.
 *
 * A disk serves reads and writes one after the other in the order in which they were asked for,
 * each at its bandwidth: a FIFO server. PCIe is full duplex: reads wait for reads, writes for
 * writes. What one tier hands to the next does not cross PCIe. What is being read can be read to
 * its end.
 *
 * What is on disk survives a crash of its host, what is in its memory does not.
 *
 * Invariant: used = sum of the contexts' bytes <= capacity; those that are there, and no others,
 * are in the list from oldest to newest. Debug builds check it at each change. */
#ifndef CELSLM_SHARE_TIER_H
#define CELSLM_SHARE_TIER_H

#include "net/net.h"
#include "scenario/scenario.h"

#define CELSLM_TIER_BACKLOG 1.0 /* s; our choice */

typedef enum celslm_tier_kind { CELSLM_TIER_HOST, CELSLM_TIER_DISK, CELSLM_TIERS } celslm_tier_kind;

typedef struct celslm_tier celslm_tier;
struct celslm_waiter;

/* For `n` contexts. `below`: where those go that it has no room for; NULL: nowhere. Outlived by it.
 */
celslm_tier *celslm_tier_new(celslm_net *net, celslm_tier_kind kind, int n,
                             const celslm_tier_config *config, celslm_tier *below);
void celslm_tier_free(celslm_tier *t); /* NULL is allowed */
/* Copies a context into it, or where it cannot take it, into one below. Where it is, it stays. */
void celslm_tier_write(celslm_tier *t, int context, double bytes);
void celslm_tier_touch(celslm_tier *t, int context); /* it is used; no-op if it is not there */
bool celslm_tier_has(const celslm_tier *t, int context); /* t NULL: false */
void celslm_tier_drop(celslm_tier *t, int context);      /* no-op if it is not there */
void celslm_tier_crash(celslm_tier *t);                  /* of its host */
/* Reads a part of it; then w->then(w->self, true). */
void celslm_tier_read(celslm_tier *t, int context, double bytes, struct celslm_waiter *w);
double celslm_tier_wait(const celslm_tier *t); /* s until a read that is asked for now begins */
double celslm_tier_rate(const celslm_tier *t); /* B/s of reads */
double celslm_tier_used(const celslm_tier *t); /* B; t NULL: 0 */
int64_t celslm_tier_writes(const celslm_tier *t, int context); /* so far; t NULL: 0 */

#endif
