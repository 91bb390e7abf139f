/* names.c - open addressing with linear probing, at most half full (see names.h). */
#include "scenario/names.h"

#include "base/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct celslm_index {
  struct {
    const char *name; /* NULL: free */
    int place;
  } * slots;
  uint64_t size; /* a power of two */
  uint64_t used;
};

celslm_index *celslm_index_new(void) {
  celslm_index *n = celslm_alloc(1, sizeof *n);
  n->size = 16;
  n->slots = celslm_alloc(n->size, sizeof *n->slots);
  return n;
}

void celslm_index_free(celslm_index *n) {
  if (!n) return;
  free(n->slots);
  free(n);
}

/* The slot that holds the name, or the free one where it would go (FNV-1a hash). */
static uint64_t slot_of(const celslm_index *n, const char *name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char *p = name; *p; p++) h = (h ^ (unsigned char)*p) * 0x100000001b3u;
  h ^= h >> 32;
  uint64_t i = h & (n->size - 1);
  while (n->slots[i].name && strcmp(n->slots[i].name, name)) i = (i + 1) & (n->size - 1);
  return i;
}

int celslm_index_find(const celslm_index *n, const char *name) {
  uint64_t i = slot_of(n, name);
  return n->slots[i].name ? n->slots[i].place : -1;
}

int celslm_index_add(celslm_index *n, const char *name, int place) {
  if (2 * n->used >= n->size) {
    celslm_index bigger = {celslm_alloc(2 * n->size, sizeof *n->slots), 2 * n->size, n->used};
    for (uint64_t i = 0; i < n->size; i++)
      if (n->slots[i].name) bigger.slots[slot_of(&bigger, n->slots[i].name)] = n->slots[i];
    free(n->slots);
    *n = bigger;
  }
  uint64_t i = slot_of(n, name);
  if (n->slots[i].name) return n->slots[i].place;
  n->slots[i].name = name;
  n->slots[i].place = place;
  n->used++;
  return -1;
}
