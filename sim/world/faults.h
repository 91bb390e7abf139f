/* faults.h - makes happen what a scenario's <faults> and <wires> say: links, cells and hosts that
 * lose their speed and get it back, background traffic that comes and goes, jitter.
 *
 * Faults of one target may overlap: the least speed holds. Each has its own random stream, named by
 * its kind, its target and its place in the file. Its events are background events: a simulation in
 * which nothing else can happen ends. */
#ifndef CELSLM_WORLD_FAULTS_H
#define CELSLM_WORLD_FAULTS_H

#include "strategy/system.h"
#include "world/books.h"

typedef struct celslm_breaker celslm_breaker;

/* Schedules everything. Both arguments must outlive it. */
celslm_breaker *celslm_breaker_new(celslm_system *system, celslm_books *books);
void celslm_breaker_free(celslm_breaker *b);

#endif
