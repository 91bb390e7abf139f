/* books.h - what a run writes down: the tables of its results file and the figures of its summary.
 */
#ifndef CELSLM_WORLD_BOOKS_H
#define CELSLM_WORLD_BOOKS_H

#include "strategy/system.h"
#include "world/world.h"

typedef struct celslm_books celslm_books;

/* Opens the results file, if one is wanted. `system` must outlive the books. NULL on failure. */
celslm_books *celslm_books_open(const celslm_scenario *s, const celslm_run_options *o,
                                celslm_system *system, celslm_error *err);
celslm_engine_hooks celslm_books_hooks(celslm_books *b); /* what engines are to report */
void celslm_books_watch(celslm_books *b,
                        celslm_site *site); /* transfers to a site, for the timeline */
void celslm_books_request(celslm_books *b, const celslm_request_row *row);
/* Tables that only scenarios with more than a plain radio have; no-ops for others. */
void celslm_books_users(celslm_books *b, const celslm_system *s);
bool celslm_books_wants_trajectory(const celslm_books *b);
void celslm_books_trajectory(celslm_books *b, const celslm_system *s, int ue);
void celslm_books_handover(celslm_books *b, int ue, int from, int to, int cause);
void celslm_books_drop(celslm_books *b, const celslm_request *r);
void celslm_books_fault(celslm_books *b, int kind, int target, double before, double speed);
/* A request has arrived (1) or ended (-1). */
void celslm_books_present(celslm_books *b, int change);
void celslm_books_sample(celslm_books *b, const celslm_system *s);
/* The tables that are written at the end, and the summary. */
void celslm_books_finish(celslm_books *b, const celslm_system *s, celslm_summary_row *summary);
/* Every request that arrived was recorded once. */
bool celslm_books_balanced(const celslm_books *b, uint64_t arrived, celslm_error *err);
/* Completes the file (or leaves FILE.part behind when interrupted, or removes it). Frees b (may be
 * NULL). */
bool celslm_books_close(celslm_books *b, celslm_outcome outcome, celslm_error *err);

#endif
