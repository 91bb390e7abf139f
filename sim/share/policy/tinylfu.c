/* tinylfu.c - a context is let in if it is asked for more often than the one it would push out.
 * Counts are exact where the paper has a sketch (a store knows all contexts of its scenario), and
 * are halved after ten requests per context, as the paper's are. */
#include "share/cache.h"

static bool admits(double asked, double victim) {
  return asked > victim;
}

extern const celslm_admission celslm_admission_tinylfu;
const celslm_admission celslm_admission_tinylfu = {
    .name = "tinylfu",
    .summary = "if it is asked for more often than what it would push out; counts fade",
    .source = "Einziger, Friedman and Manes, ACM Transactions on Storage 13(4), 2017",
    .admits = admits,
    .forgets = true,
};
