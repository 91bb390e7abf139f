#include "strategy/engines.h"

#include <stdlib.h>
#include <string.h>

bool celslm_engines_read(const celslm_scenario *s, const celslm_element *e, const char *attribute,
                         int **list, int *n, celslm_error *err) {
  char *names = celslm_strdup(celslm_element_attribute(e, attribute)), *rest = NULL;
  bool ok = true;
  *list = celslm_alloc((unsigned long)s->n_engines + 1, sizeof **list);
  for (char *word = strtok_r(names, " ", &rest); ok && word; word = strtok_r(NULL, " ", &rest)) {
    int i = 0;
    while (i < s->n_engines && strcmp(s->engines[i].name, word)) i++;
    for (int k = 0; k < *n; k++)
      if ((*list)[k] == i)
        ok = celslm_element_fail(e, err, "<%s> %s names engine \"%s\" twice", e->name, attribute,
                                 word);
    if (i == s->n_engines)
      ok = celslm_element_fail(e, err, "<%s> %s \"%s\" is not an engine; give names of <engines>",
                               e->name, attribute, word);
    if (ok) (*list)[(*n)++] = i;
  }
  free(names);
  return ok && (*n || celslm_element_fail(e, err, "<%s> %s is empty; name at least one engine",
                                          e->name, attribute));
}

double celslm_engine_load(const celslm_system *s, int site) {
  return (double)celslm_engine_present(s->sites[site].engine) /
         (double)s->scenario->engines[site].max_num_seqs;
}

bool celslm_needs_edges(const celslm_system *s, const celslm_element *e, celslm_error *err) {
  for (int u = 0; u < s->n_users; u++)
    if (s->users[u].site < 0)
      return celslm_element_fail(e, err,
                                 "<%s> needs an engine at the edge of every user, but user %d has "
                                 "none; add one to <engines> on a host with the role edge",
                                 e->name, u);
  return true;
}

bool celslm_needs_cloud(const celslm_system *s, const celslm_element *e, celslm_error *err) {
  return s->cloud >= 0 ||
         celslm_element_fail(e, err,
                             "<%s> needs an engine on a host with the role cloud; add one to "
                             "<engines>",
                             e->name);
}

bool celslm_needs_correctness(const celslm_system *s, const celslm_element *e, const char *why,
                              celslm_error *err) {
  return s->correctness ||
         celslm_element_fail(e, err,
                             "<%s> %s needs to know whose answers are right; add <correctness> to "
                             "the scenario",
                             e->name, why);
}
