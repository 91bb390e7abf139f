/* Several strategies in one run, by class: each part against the strategy alone. */
#include "../support.h"

static const char form[] =
    "<scenario name=\"t\" seed=\"3\"><platform file=\"pair.xml\"/>"
    "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
    "<engines><engine name=\"c\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
    "<engine name=\"e\" host=\"edge0\" model=\"small\" context_memory=\"1GiB\"/>"
    "<engine name=\"f\" host=\"edge1\" model=\"small\" context_memory=\"1GiB\"/></engines>"
    "<contexts><population name=\"d\" count=\"4\"><uniform min=\"16\" max=\"300\"/></population>"
    "</contexts>"
    "<workload requests=\"80\"><arrivals><%s/></arrivals>"
    "<prompt><lognormal mean=\"60\" cv=\"1\" max=\"400\"/></prompt>"
    "<output><lognormal mean=\"20\" cv=\"1\" "
    "max=\"60\"/></output><popularity><uniform/></popularity>"
    "<class name=\"private\"/><class name=\"paying\"/></workload>"
    "<strategy>%s</strategy></scenario>";

static simulation run(const char *arrivals, const char *strategy) {
  char *text = celslm_format(form, arrivals, strategy);
  simulation s = simulate_well(text, 0, false);
  free(text);
  return s;
}

#define MIXED(private, paying)                                                                     \
  "<mixed><for class=\"private\">" private "</for><for class=\"paying\">" paying "</for></mixed>"

/* A mixture of one and the same is that one, also where requests meet each other. */
START_TEST(test_of_one_kind) {
  static const char *const kinds[][2] = {
      {"<edge-only/>", MIXED("<edge-only/>", "<edge-only/>")},
      {"<cloud-only prompt_cache=\"yes\"/>",
       MIXED("<cloud-only prompt_cache=\"yes\"/>", "<cloud-only prompt_cache=\"yes\"/>")},
      {"<ce-lslm/>", MIXED("<ce-lslm/>", "<ce-lslm/>")}};
  for (int k = 0; k < 3; k++) {
    simulation one = run("poisson rate=\"30/s\"", kinds[k][0]),
               two = run("poisson rate=\"30/s\"", kinds[k][1]);
    ck_assert_uint_eq(one.n, 80);
    ck_assert(one.n == two.n && memcmp(one.rows, two.rows, one.n * sizeof *one.rows) == 0);
    free(one.rows), free(two.rows);
  }
}
END_TEST

/* Where nobody meets another, each class fares as if all were served like it. */
START_TEST(test_of_two_kinds) {
  const char *slow = "deterministic interval=\"20s\"";
  simulation edge = run(slow, "<edge-only/>"), cloud = run(slow, "<cloud-only/>"),
             both = run(slow, MIXED("<edge-only/>", "<cloud-only/>"));
  int n[2] = {0};
  double bytes = 0;
  for (size_t i = 0; i < both.n; i++) {
    const celslm_request_row *row = &both.rows[i],
                             *alone = row->class ? &cloud.rows[i] : &edge.rows[i];
    n[row->class]++;
    ck_assert(memcmp(row, alone, sizeof *row) == 0);
    bytes += row->user_bytes_to_cloud;
    ck_assert(row->class ? row->user_bytes_to_cloud > 0 : row->user_bytes_to_cloud == 0);
  }
  ck_assert(n[0] > 20 && n[1] > 20);
  ck_assert_double_eq(both.summary.user_bytes_to_cloud, bytes);
  free(edge.rows), free(cloud.rows), free(both.rows);
}
END_TEST

START_TEST(test_bad_mixtures) {
  static const struct {
    const char *strategy, *message;
  } cases[] = {
      {"<mixed><for class=\"privat\"><edge-only/></for></mixed>",
       "<for> class \"privat\" is not a class of this scenario; give the name of a <class> of a "
       "<workload>"},
      {"<mixed><for class=\"paying\"><edge-only/></for></mixed>",
       "<mixed> has no strategy for class \"private\"; add a <for>"},
      {"<mixed><for class=\"paying\"><edge-only/></for><for class=\"paying\"><cloud-only/></for>"
       "</mixed>",
       "<for> class \"paying\" has a strategy already; give one"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text = celslm_format(form, "poisson rate=\"1/s\"", cases[i].strategy);
    simulation s = simulate(text, 0, false);
    ck_assert_int_eq(s.status, CELSLM_BAD_INPUT);
    ck_assert_msg(strstr(s.error, cases[i].message) != NULL, "%s", s.error);
    free(text), free(s.rows);
  }
}
END_TEST

RUN_SUITE("mixed", test_of_one_kind, test_of_two_kinds, test_bad_mixtures)
