/* names.h - which place a name has: a hash table from text to a small number.
 *
 * Platforms have tens of thousands of hosts and scenarios as many contexts; looking names up must
 * not cost more for the last than for the first. The table does not copy names: they must outlive
 * it. Internal to sim/scenario. */
#ifndef CELSLM_SCENARIO_NAMES_H
#define CELSLM_SCENARIO_NAMES_H

typedef struct celslm_index celslm_index;

celslm_index *celslm_index_new(void);
void celslm_index_free(celslm_index *n);

/* The place of `name`; -1: unknown. */
int celslm_index_find(const celslm_index *n, const char *name);

/* Adds a name. -1: done; otherwise the place the name already has, and nothing changes. */
int celslm_index_add(celslm_index *n, const char *name, int place);

#endif
