/* disk.h - the disk of a host as a second tier for contexts: bounded room, one queue.
 *
 * A context is written whole, when it is first pushed out of memory; the write is behind: memory is
 * free at once, and the data wait in a buffer. Reads and writes share the disk one after the other
 * in the order in which they were asked for, each at its bandwidth: a FIFO server. While what is
 * queued would take longer than CELSLM_DISK_BACKLOG, nothing more is written (the buffer is full).
 * If room is short, the context goes that was written or read longest ago.
 *
 * What is on disk survives a crash of its host. */
#ifndef CELSLM_SHARE_DISK_H
#define CELSLM_SHARE_DISK_H

#include "net/net.h"
#include "share/store.h"

#define CELSLM_DISK_BACKLOG 1.0 /* s; our choice */

typedef struct celslm_disk celslm_disk;

/* `n` contexts; capacity B, bandwidths B/s. */
celslm_disk *celslm_disk_new(celslm_net *net, int n, double capacity, double read, double write);
void celslm_disk_free(celslm_disk *d); /* NULL is allowed */
/* Writes a context, if it is not there and can be. True: it was begun. */
bool celslm_disk_write(celslm_disk *d, int context, double bytes);
bool celslm_disk_has(const celslm_disk *d, int context); /* d NULL: false */
void celslm_disk_drop(celslm_disk *d, int context);      /* no-op if it is not there */
/* Reads a part of it; then w->then(w->self, true). */
void celslm_disk_read(celslm_disk *d, int context, double bytes, celslm_waiter *w);
double celslm_disk_backlog(const celslm_disk *d); /* s until what is queued now is done */
double celslm_disk_rate(const celslm_disk *d);    /* B/s of reads */

#endif
