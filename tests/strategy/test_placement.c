/* test_placement.c - edges that know of each other: where contexts come from, who serves, and how
 * much of it is out of date. */
#include "support.h"

#include <math.h>

/* Two edges, one of them slow; requests of both users for 24 contexts. */
static char *text_of(const char *strategy, int tokens, int requests, double rate, int memory) {
  return celslm_format(
      "<scenario name=\"peers\" seed=\"11\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
      "<engine name=\"e0\" host=\"edge0\" model=\"small\" context_memory=\"%dMiB\"/>"
      "<engine name=\"e1\" host=\"edge1\" model=\"small\" context_memory=\"%dMiB\"/></engines>"
      "<contexts><population name=\"d\" count=\"24\"><uniform min=\"%d\" max=\"%d\"/>"
      "</population></contexts>"
      "<workload requests=\"%d\"><arrivals><poisson rate=\"%g/s\"/></arrivals>"
      "<prompt><fixed tokens=\"32\"/></prompt><output><fixed tokens=\"8\"/></output>"
      "<popularity><zipf s=\"0.8\"/></popularity></workload><strategy>%s</strategy>"
      "</scenario>",
      memory, memory, tokens, tokens, requests, rate, strategy);
}

static simulation run(const char *strategy, int tokens, double rate, int memory) {
  char *text = text_of(strategy, tokens, 1500, rate, memory);
  simulation s = simulate_well(text, 0, false), step = simulate_well(text, 0, true);
  ck_assert_uint_eq(s.n, 1500);
  ck_assert_msg(step.n == s.n && memcmp(s.rows, step.rows, s.n * sizeof *s.rows) == 0, "%s",
                strategy);
  ck_assert_int_eq(s.summary.completed, 1500);
  free(text), free(step.rows);
  return s;
}

/* The wire to the cloud is 1 Gb/s, the one to the neighbour 10: most layers come from there, and
 * sooner. */
START_TEST(test_peers_relieve_the_backhaul) {
  simulation alone = run("<ce-lslm cloud_warm=\"yes\"/>", 400, 30, 24),
             peers = run("<ce-lslm cloud_warm=\"yes\" peers=\"1\"/>", 400, 30, 24),
             old =
                 run("<ce-lslm cloud_warm=\"yes\" peers=\"1\" peer_period=\"20s\"/>", 400, 30, 24);
  printf("WAN %.0f MB alone, %.0f with a neighbour, %.0f if news is 20 s old; TTFT %.2f, %.2f, "
         "%.2f ms\n",
         alone.summary.wan_bytes * 1e-6, peers.summary.wan_bytes * 1e-6,
         old.summary.wan_bytes * 1e-6, alone.summary.ttft_mean * 1e3, peers.summary.ttft_mean * 1e3,
         old.summary.ttft_mean * 1e3);
  ck_assert(peers.summary.wan_bytes < 0.9 * alone.summary.wan_bytes);
  ck_assert(peers.summary.ttft_high < alone.summary.ttft_low);
  ck_assert(old.summary.wan_bytes > peers.summary.wan_bytes);
  ck_assert(peers.summary.kv_bytes <= alone.summary.kv_bytes * 1.01);
  free(alone.rows), free(peers.rows), free(old.rows);
}
END_TEST

/* A neighbour that may send one context at a time refuses the others, which then take the WAN. */
START_TEST(test_uploads_are_limited) {
  simulation
      one = run("<ce-lslm cloud_warm=\"yes\" peers=\"1\" peer_period=\"50ms\" peer_uploads=\"1\"/>",
                3000, 6, 180),
      all = run("<ce-lslm cloud_warm=\"yes\" peers=\"1\" peer_period=\"50ms\" peer_uploads=\"0\"/>",
                3000, 6, 180);
  printf("WAN %.1f MB with one upload at a time, %.1f with any number\n",
         one.summary.wan_bytes * 1e-6, all.summary.wan_bytes * 1e-6);
  ck_assert(one.summary.wan_bytes > all.summary.wan_bytes);
  free(one.rows), free(all.rows);
}
END_TEST

static double share_at(const simulation *s, uint32_t engine) {
  double n = 0;
  for (size_t i = 0; i < s->n; i++) n += s->rows[i].engine == engine;
  return n / (double)s->n;
}

START_TEST(test_placements) {
  const char *const at[] = {
      "<edge-only/>",
      "<edge-only peers=\"1\" placement=\"least-loaded\" peer_period=\"50ms\"/>",
      "<edge-only peers=\"1\" placement=\"predicted-ttft\" peer_period=\"50ms\"/>",
      "<ce-lslm cloud_warm=\"yes\"/>",
      "<ce-lslm cloud_warm=\"yes\" peers=\"1\" placement=\"context-affine\"/>",
      "<edge-only prompt_cache=\"yes\"/>",
      "<edge-only prompt_cache=\"yes\" peers=\"1\" placement=\"context-affine\"/>"};
  simulation s[7];
  for (int i = 0; i < 7; i++) {
    s[i] = run(at[i], 400, i < 3 ? 900 : 40, 24);
    printf("%-80s TTFT %.2f ms (%.2f - %.2f), hits %lld, %.0f %% at e1\n", at[i],
           s[i].summary.ttft_mean * 1e3, s[i].summary.ttft_low * 1e3, s[i].summary.ttft_high * 1e3,
           (long long)s[i].summary.hits, 100 * share_at(&s[i], 2));
  }
  ck_assert(s[1].summary.ttft_high < s[0].summary.ttft_low); /* the slow edge is relieved */
  ck_assert(s[2].summary.ttft_high < s[0].summary.ttft_low);
  ck_assert(share_at(&s[1], 2) < share_at(&s[0], 2));
  ck_assert(s[4].summary.hits > s[3].summary.hits); /* two stores hold twice as much */
  ck_assert(s[6].summary.hits > s[5].summary.hits);
  for (int i = 0; i < 7; i++) free(s[i].rows);
}
END_TEST

RUN_SUITE("placement", test_peers_relieve_the_backhaul, test_uploads_are_limited, test_placements)
