/* prices.h - what the parts of a pass cost, in whole ticks of 2^-20 ns: tables, filled when a size
 * is first met.
 *
 * One set for a run: engines that are alike (same model, precision, profile, parallelism, overheads
 * and limits) share the tables of their stages, so that a thousand of them cost as much to price as
 * one. Prices are pure functions of what they are asked for: who fills a table does not matter. */
#ifndef CELSLM_SERVE_PRICES_H
#define CELSLM_SERVE_PRICES_H

typedef struct celslm_prices celslm_prices;

celslm_prices *celslm_prices_new(void);
void celslm_prices_free(celslm_prices *all); /* after the engines that it was given to */

#endif
