/* list.c - celslm list: what can be named in a scenario. */
#include "base/version.h"
#include "cmd/commands.h"
#include "load/load.h"
#include "net/radio/channel.h"
#include "serve/waiting.h"
#include "share/cache.h"
#include "share/codec.h"
#include "strategy/outage.h"
#include "strategy/placing.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void strategies(void) {
  for (const celslm_strategy *const *s = celslm_strategies; *s; s++)
    printf("%-13s %s (%s)\n", (*s)->name, (*s)->summary, (*s)->paper);
}

static void codecs(void) {
  for (const celslm_coding *const *c = celslm_codings; *c; c++)
    printf("%s%s%-*s %s (%s)\n", (*c)->name, (*c)->parameter ? ":" : "",
           14 - (int)strlen((*c)->name) - !!(*c)->parameter, (*c)->parameter ? (*c)->parameter : "",
           (*c)->summary, (*c)->source);
  puts("\nlowrank and tokens may have +int8 or +int4 behind, which code the numbers that are "
       "left:\nlowrank:64+int8. A host's <engine codec_cores codec_rate> say what coding takes.");
}

static void schedulers(void) {
  for (const celslm_policy *const *p = celslm_policies; *p; p++)
    printf("%-12s %s (%s)\n", (*p)->name, (*p)->summary, (*p)->source);
}

static void caches(void) {
  puts("<cache eviction=...>: what goes first when an engine's context_memory is full");
  for (const celslm_eviction *const *c = celslm_evictions; *c; c++)
    printf("  %-12s %s (%s)\n", (*c)->name, (*c)->summary, (*c)->source);
  puts("<cache admission=...>: what is let in");
  for (const celslm_admission *const *c = celslm_admissions; *c; c++)
    printf("  %-12s %s (%s)\n", (*c)->name, (*c)->summary, (*c)->source);
  puts("<cache partial=\"yes\">: what goes loses its deepest layers first\n"
       "<cache host_memory= host_read= host_write= disk= disk_read= disk_write=>: what is pushed "
       "out is kept in\n"
       "the host's memory behind PCIe, and what has no room there on its disk\n"
       "`celslm cache RESULTS.h5` compares a run's hits with the best that could be had");
}

static void placements(void) {
  for (const celslm_edge_choice *const *p = celslm_edge_choices; *p; p++)
    printf("%-16s %s (%s)\n", (*p)->name, (*p)->summary, (*p)->source);
}

static void outages(void) {
  for (const celslm_resilience *const *p = celslm_resiliences; *p; p++)
    printf("%-12s %s\n", (*p)->name, (*p)->summary);
}

static void channels(void) {
  for (const celslm_channel *const *c = celslm_channels; *c; c++)
    printf("%-12s %s\n", (*c)->name, (*c)->summary);
}

static void arrivals(void) {
  for (const celslm_process *const *p = celslm_processes; *p; p++)
    printf("%-14s %s\n", (*p)->name, (*p)->summary);
}

static void distributions(void) {
  for (const celslm_distribution *const *d = celslm_distributions; *d; d++)
    printf("%-14s %s\n", (*d)->name, (*d)->summary);
}

static void traces(void) {
  for (const celslm_trace_format *const *f = celslm_trace_formats; *f; f++)
    printf("%-14s %s\n", (*f)->name, (*f)->summary);
}

/* What a <workload> is made of, and which tables have its parts. */
static void loads(void) {
  fputs(
      "A scenario has one <workload> or several, whose requests are mixed. Each is one of:\n"
      "\n"
      "open         <arrivals> (arrivals), <prompt> and <output> (distributions), or <lengths>:\n"
      "             both from one row of a CSV file\n"
      "closed       <arrivals><closed users=\"50\" think=\"5s\"/></arrivals>: each user has one "
      "request\n"
      "             at a time, the next comes a think time after the end of the last\n"
      "sessions     either of them with <sessions turns=\"5\" think=\"20s\"/>: a turn's prompt is "
      "all\n"
      "             that was said before and new tokens\n"
      "trace        <trace file=\"...\" format=\"...\"/> (traces); time_scale stretches its "
      "times,\n"
      "             rate_scale thins it (below 1) or lays shifted copies over each other\n"
      "\n"
      "All of them may have\n"
      "<popularity>        which shared context a request (or session) stands on\n"
      "<class>             tenant, priority, deadline, share of the requests; several are drawn "
      "by share\n"
      "prediction_error    how wrong foretold output lengths are: sigma of the logarithm of\n"
      "                    foretold over true; 0: exact\n"
      "block_size          tokens per block of the prefix identities that requests carry: from\n"
      "                    hash_ids (mooncake), the session, or the context\n"
      "\n"
      "Examples: scenarios/chat_sessions.xml, closed_loop.xml, tenants.xml\n",
      stdout);
}

/* Files below platforms/ of the current folder, or else of the source tree. */
static void each_file(const char *pattern, void (*print)(const char *file)) {
  glob_t found = {0};
  char *there = celslm_format("%s/%s", celslm_home, pattern);
  if (glob(pattern, 0, NULL, &found) != 0) glob(there, 0, NULL, &found);
  for (size_t i = 0; i < found.gl_pathc; i++) print(found.gl_pathv[i]);
  globfree(&found);
  free(there);
}

static void print_model(const char *file) {
  celslm_error err = {0};
  celslm_model m = {0};
  if (!celslm_model_load(file, &m, &err)) {
    fprintf(stderr, "%s\n", err.text);
    return;
  }
  printf("%-16s %3lld layers, width %5lld, %2lld/%lld heads, %8.3f G parameters, tokenizer %s\n",
         m.name, (long long)m.layers, (long long)m.hidden, (long long)m.heads,
         (long long)m.kv_heads, (double)m.parameters * 1e-9, m.tokenizer);
  celslm_model_clear(&m);
}

static void print_device(const char *file) {
  celslm_error err = {0};
  celslm_profile *p = celslm_profile_load(file, &err);
  if (!p) {
    fprintf(stderr, "%s\n", err.text);
    return;
  }
  printf("%-18s %8.1f TFLOP/s %s, %7.1f GB/s, %6.1f GB, %5.0f W\n", p->name,
         p->peak[p->curve_dtype] * 1e-12, celslm_dtype_name(p->curve_dtype), p->bandwidth * 1e-9,
         p->memory * 1e-9, p->power_max);
  celslm_profile_free(p);
}

static void models(void) {
  each_file("platforms/models/*.xml", print_model);
}

/* Their files say the rest, each number with its source. */
static void print_band(const char *file) {
  const char *name = strrchr(file, '/');
  name = name ? name + 1 : file;
  printf("%-12.*s %s\n", (int)(strlen(name) - strlen(".xml")), name, file);
}

static void bands(void) {
  each_file("platforms/bands/*.xml", print_band);
}

static void devices(void) {
  each_file("platforms/profiles/*.xml", print_device);
}

static const struct {
  const char *name, *summary;
  void (*print)(void);
} kinds[] = {
    {"models", "transformer shapes in platforms/models", models},
    {"devices", "device profiles in platforms/profiles", devices},
    {"strategies", "ways to serve requests", strategies},
    {"schedulers", "who is served first in an engine", schedulers},
    {"codecs", "encodings of context KV", codecs},
    {"caches", "how engines keep contexts: eviction, admission, disk", caches},
    {"placements", "which edge serves a request", placements},
    {"outages", "what edges do for contexts they lack while the cloud is out of reach", outages},
    {"channels", "radio propagation models", channels},
    {"loads", "what a <workload> can be", loads},
    {"bands", "carriers for cells in platforms/bands: power, gains, numerology, pattern", bands},
    {"arrivals", "arrival processes", arrivals},
    {"distributions", "of prompt and output lengths", distributions},
    {"traces", "formats of recorded loads", traces},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

int celslm_cmd_list(int argc, char **argv) {
  bool help = argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
  if (help) {
    puts("usage: celslm list WHAT\n\nWHAT is one of:");
    for (int i = 0; i < KINDS; i++) printf("  %-14s %s\n", kinds[i].name, kinds[i].summary);
    return argc < 2 ? 2 : 0;
  }
  for (int i = 0; i < KINDS; i++)
    if (strcmp(argv[1], kinds[i].name) == 0) {
      kinds[i].print();
      return 0;
    }
  fprintf(stderr, "celslm: cannot list \"%s\"; `celslm list --help` says what can be\n", argv[1]);
  return 2;
}
