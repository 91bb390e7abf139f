/* platform.h - machines and networks: a SimGrid platform XML, read and checked by us.
 *
 * SimGrid aborts the process on bad input, so it only ever sees `normalised`: a copy that we have
 * checked completely and written ourselves (the DOCTYPE line included). What is ours in the file
 * stands in <prop> elements of hosts, with ids that begin with "celslm.":
 *
 *   every host     celslm.role       cloud | edge | device | cell | router
 *   with engines   celslm.profile    NAME of platforms/profiles/NAME.xml, beside the platform file
 *                  celslm.accelerators   how many of them (default 1)
 *                  celslm.interconnect, .interconnect_latency   between them, each way
 *                  celslm.radio          yes: no wire, see net/radio/aboard.h
 *                  celslm.price_hour     of one accelerator, rented; .state_power  W when busy, by
 * state cells          celslm.serves     the edge host that the base station hands traffic to
 *                  celslm.carrier, .bandwidth, .tx_power, .antenna_gain, .noise_figure,
 *                  .ue_tx_power, .ue_antenna_gain, .ue_noise_figure, .height, .x, .y,
 *                  .dl_share, .ul_share (TDD shares of time), .dl_layers, .ul_layers
 *                  .tdd (a pattern of net/radio/timing.h, or "paired": stands for the shares),
 *                  .numerology (subcarriers of 15 * 2^n kHz), .azimuth (sector antenna; else all
 *                  round), .downtilt, .interference_gain (towards users of other cells)
 *                  .pa_efficiency, .ue_pa_efficiency  of power amplifiers (upkeep.h)
 *                  .band   NAME of bands/NAME.xml, beside the folder of profiles: such properties,
 *                  each with its source; those of the host itself come first
 *
 * Links may have celslm.energy_per_byte and celslm.price_per_gigabyte.
 *
 * Of SimGrid's own attributes a host may have several speeds (DVFS), pstate and speed_file
 * (speeds.h). One zone, routing Full, Floyd, Dijkstra or DijkstraCache; what we do not support is
 * refused by name. */
#ifndef CELSLM_SCENARIO_PLATFORM_H
#define CELSLM_SCENARIO_PLATFORM_H

#include "scenario/element.h"
#include "scenario/profile.h"

typedef enum celslm_role {
  CELSLM_CLOUD,
  CELSLM_EDGE,
  CELSLM_DEVICE,
  CELSLM_CELL,
  CELSLM_ROUTER
} celslm_role;

typedef struct celslm_host {
  char *name;
  celslm_role role;
  double speed; /* FLOP/s, SimGrid's; of the first performance state */
  char *states; /* all of them, as SimGrid reads them; NULL: one */
  int pstate;
  char *changes; /* "TIME FACTOR" lines; NULL: the speed is constant */
  double period; /* s after which they repeat; NaN: never */
  bool radio;    /* it has no wire: a user equipment connects it */
  bool varies;   /* not always the speed for which the profile holds */
  int cores;
  celslm_profile *profile; /* NULL: cannot serve a model */
  int accelerators;
  double interconnect, interconnect_latency; /* between accelerators: B/s a way, s; 0: not given */
  double busy_power; /* W of a busy accelerator in the chosen state; NaN: it has no profile */
  double rent;       /* cent/s of an accelerator; NaN: not given */
  int line;
} celslm_host;

typedef struct celslm_link {
  char *name;
  double bandwidth;               /* B/s */
  double latency;                 /* s */
  double byte_energy, byte_price; /* J, cent for each byte that crosses it */
  bool split_duplex, fat_pipe;
  int line;
} celslm_link;

typedef struct celslm_cell {
  int host;                             /* the base station's host */
  int serves;                           /* the edge host behind it */
  double carrier, bandwidth;            /* Hz */
  double tx_power, ue_tx_power;         /* dBm */
  double antenna_gain, ue_antenna_gain; /* dBi */
  double noise_figure, ue_noise_figure; /* dB */
  double height, x, y;                  /* m */
  double dl_share, ul_share;            /* of time, 0..1 */
  int dl_layers, ul_layers;             /* spatial layers */
  char tdd[16];                         /* "": none given */
  int numerology;
  double azimuth, downtilt;               /* degrees; azimuth NaN: omnidirectional */
  double interference_gain;               /* dBi */
  double pa_efficiency, ue_pa_efficiency; /* power sent over power drawn */
} celslm_cell;

typedef struct celslm_band {
  char *name, *text;
  struct celslm_element *root;
} celslm_band;

typedef struct celslm_platform {
  char *file, *name;
  char *text;       /* as read, for the provenance */
  char *normalised; /* XML for SimGrid */
  celslm_host *hosts;
  int n_hosts;
  celslm_link *links;
  int n_links;
  celslm_cell *cells;
  int n_cells;
  celslm_profile **profiles; /* each loaded once; owned here */
  int n_profiles;
  struct celslm_band *bands; /* each loaded once; owned here */
  int n_bands;
  struct celslm_index *index; /* of the hosts' names */
} celslm_platform;

/* `profile_dir` NULL: "profiles" beside the platform file. */
celslm_platform *celslm_platform_load(const char *file, const char *profile_dir, celslm_error *err);
/* The same with attributes changed first: `set` holds "XPath=value", applied in order. */
celslm_platform *celslm_platform_load_with(const char *file, const char *profile_dir,
                                           const char *const *set, int n_set, celslm_error *err);
/* Whether `xpath` selects attributes written in the file; the error is placed at `at`. */
bool celslm_platform_selects(const char *file, const char *xpath, const celslm_element *at,
                             celslm_error *err);
void celslm_platform_free(celslm_platform *p);
int celslm_platform_host(const celslm_platform *p, const char *name); /* -1: none */

#endif
