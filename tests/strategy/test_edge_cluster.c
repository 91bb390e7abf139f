/* A cluster of edges with the cloud behind it: a cluster of one, windows counted by hand, and
 * selections under bursts. */
#include "choices.h"

static char *text_of(int seed, int requests, const char *arrivals, const char *f,
                     const char *strategy) {
  return celslm_format(
      "<scenario name=\"t\" seed=\"%d\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
      "<engines><engine name=\"c\" host=\"cloud\" model=\"big\"/>"
      "<engine name=\"e\" host=\"edge0\" model=\"small\" max_num_seqs=\"8\" max_queue=\"%s\"/>%s"
      "</engines><workload requests=\"%d\"><arrivals><%s/></arrivals>"
      "<prompt><lognormal mean=\"200\" cv=\"1\" max=\"1000\"/></prompt>"
      "<output><lognormal mean=\"60\" cv=\"1\" max=\"300\"/></output></workload>"
      "<strategy>%s</strategy></scenario>",
      seed, *f == 'q' ? "1" : "100000",
      *f == 'f' ? "<engine name=\"f\" host=\"edge1\" "
                  "model=\"small\" max_num_seqs=\"8\"/>"
                : "",
      requests, arrivals, strategy);
}

static simulation run(const char *arrivals, const char *f, const char *strategy) {
  char *text = text_of(7, 300, arrivals, f, strategy);
  simulation s = simulate_well(text, 0, false);
  free(text);
  return s;
}

START_TEST(test_cluster_of_one) {
  static const char *const selections[] = {"random", "load-aware", "weighted\" weights=\"3"};
  simulation edge = run(BUSY, "", "<edge-only/>");
  for (int k = 0; k < 3; k++) {
    char *way = celslm_format("<edge-cluster select=\"%s\"/>", selections[k]);
    simulation s = run(BUSY, "", way);
    ck_assert(s.n == edge.n && memcmp(s.rows, edge.rows, s.n * sizeof *s.rows) == 0);
    free(s.rows), free(way);
  }
  free(edge.rows);
}
END_TEST

static int by_id(const void *a, const void *b) {
  const celslm_request_row *x = a, *y = b;
  return (x->id > y->id) - (x->id < y->id);
}

/* The edge takes a request if and only if it took fewer than the limit in the window before it. */
START_TEST(test_sliding_window) {
  for (int fallback = 0; fallback < 2; fallback++)
    for (int limit = 1; limit <= 7; limit += 3) {
      char *way = celslm_format("<edge-cluster limit=\"%d\" window=\"250ms\" fallback=\"%s\"/>",
                                limit, fallback ? "yes" : "no");
      simulation s = run(BUSY, "", way);
      qsort(s.rows, s.n, sizeof *s.rows, by_id);
      int taken = 0;
      for (size_t i = 0; i < s.n; i++) {
        int before = 0;
        for (size_t k = 0; k < i; k++)
          before += s.rows[k].engine == 1 && s.rows[k].arrival > s.rows[i].arrival - 0.25;
        uint32_t expected = before < limit ? 1 : fallback ? 0 : UINT32_MAX;
        ck_assert_uint_eq(s.rows[i].engine, expected);
        ck_assert_int_eq(s.rows[i].end,
                         expected == UINT32_MAX ? CELSLM_REJECTED : CELSLM_COMPLETED);
        ck_assert((s.rows[i].user_bytes_to_cloud > 0) == (expected == 0));
        taken += before < limit;
      }
      ck_assert(taken > 20 && taken < 280);
      free(s.rows), free(way);
    }
}
END_TEST

/* What a full queue turns away goes on to the cloud: on the same load the cluster rejects nothing
 * where the edge alone does. */
START_TEST(test_full_queue) {
  const char *burst = "mmpp rate=\"5/s\" burst_rate=\"400/s\" calm=\"1s\" burst=\"500ms\"";
  simulation edge = run(burst, "q", "<edge-only/>"), s = run(burst, "q", "<edge-cluster/>"),
             none = run(burst, "q", "<edge-cluster fallback=\"no\"/>");
  ck_assert_int_gt(edge.summary.rejected, 10);
  ck_assert_int_eq(s.summary.rejected, 0);
  ck_assert_int_eq(s.summary.completed, 300);
  ck_assert(none.n == edge.n && memcmp(none.rows, edge.rows, none.n * sizeof *none.rows) == 0);
  int on = 0;
  for (size_t i = 0; i < s.n; i++) {
    on += s.rows[i].engine == 0;
    ck_assert((s.rows[i].user_bytes_to_cloud > 0) == (s.rows[i].engine == 0));
  }
  ck_assert_int_gt(on, 10);
  free(edge.rows), free(s.rows), free(none.rows);
}
END_TEST

typedef struct gain { /* of load-aware selection over another: mean of the pairs and its interval */
  double mean, half;
} gain;

static gain gain_over(const char *other, const char *arrivals) {
  enum { SEEDS = 10 };
  double d[SEEDS], mean = 0, square = 0;
  for (int i = 0; i < SEEDS; i++) {
    double e2e[2];
    for (int k = 0; k < 2; k++) {
      char *text =
          text_of(i + 1, 1500, arrivals, "f", k ? "<edge-cluster weights=\"3 1\"/>" : other);
      simulation s = simulate_well(text, 0, false);
      ck_assert_int_eq(s.summary.completed, 1500);
      e2e[k] = s.summary.e2e_mean;
      free(text), free(s.rows);
    }
    d[i] = (e2e[0] - e2e[1]) / e2e[0];
    mean += d[i] / SEEDS;
  }
  for (int i = 0; i < SEEDS; i++) square += (d[i] - mean) * (d[i] - mean);
  return (gain){mean, 2.262 * sqrt(square / (SEEDS - 1) / SEEDS)}; /* t(9) at 97.5 % */
}

/* Edge-First (arXiv 2505.16508): under bursts the least loaded node beats a random one and one by
 * weight, which knows the same weights. */
START_TEST(test_bursts) {
  const char *burst = "mmpp rate=\"5/s\" burst_rate=\"100/s\" calm=\"2s\" burst=\"1s\"";
  static const char *const others[] = {"<edge-cluster select=\"random\"/>",
                                       "<edge-cluster select=\"weighted\" weights=\"3 1\"/>"};
  for (int k = 0; k < 2; k++) {
    gain g = gain_over(others[k], burst);
    printf("load-aware over %s under bursts: %.1f %% +- %.1f %%\n", others[k], 100 * g.mean,
           100 * g.half);
    ck_assert_msg(g.mean - g.half > 0, "%s: %g +- %g", others[k], g.mean, g.half);
  }
}
END_TEST

START_TEST(test_bad_clusters) {
  bad_input("", "<edge-cluster select=\"random\" weights=\"1 1\"/>",
            "<edge-cluster> weights mean nothing to select=\"random\"; leave them out");
  bad_input("", "<edge-cluster select=\"weighted\" weights=\"1\"/>",
            "<edge-cluster> weights \"1\" is not allowed; give 2 numbers above 0, one for each "
            "engine");
  bad_input("", "<edge-cluster select=\"weighted\" weights=\"1 x\"/>", "weights \"1 x\"");
  bad_input("", "<edge-cluster select=\"weighted\" weights=\"1 -2\"/>", "weights \"1 -2\"");
  bad_input("", "<edge-cluster engines=\"e g\"/>",
            "<edge-cluster> engines \"g\" is not an engine; give names of <engines>");
  bad_input("", "<edge-cluster engines=\"e e\"/>",
            "<edge-cluster> engines names engine \"e\" twice");
  bad_input("", "<edge-cluster engines=\"\"/>",
            "<edge-cluster> engines is empty; name at least one engine");
}
END_TEST

RUN_SUITE("edge_cluster", test_cluster_of_one, test_sliding_window, test_full_queue, test_bursts,
          test_bad_clusters)
