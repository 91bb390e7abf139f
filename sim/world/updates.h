/* updates.h - contexts change: a document is edited, an instruction reworded. What the cloud has of
 * the old version is out of date at once; every edge is told by a message, and drops its copy when
 * that has come (at once, where no cloud is). What is in use serves out its requests; new ones do
 * not build on it. A load that began before serves those that wait for it and is dropped. */
#ifndef CELSLM_WORLD_UPDATES_H
#define CELSLM_WORLD_UPDATES_H

#include "strategy/system.h"

typedef struct celslm_updates celslm_updates;

/* NULL: contexts do not change. */
celslm_updates *celslm_updates_new(celslm_system *s);
void celslm_updates_free(celslm_updates *u); /* NULL is allowed */

#endif
