/* The template of docs/new-strategy.md: its file, line and element make a strategy that runs. This
 * executable is linked with a registry and a schema of its own, made by new_strategy.cmake. */
#include "choices.h"
#include "strategy/system.h"

START_TEST(test_it_is_listed) {
  int found = 0;
  for (const celslm_strategy *const *s = celslm_strategies; *s; s++)
    found += strcmp((*s)->name, "short-at-edge") == 0;
  ck_assert_int_eq(found, 1);
}
END_TEST

START_TEST(test_degenerate_cases) {
  same_bits("", "<edge-only/>", "<short-at-edge longest=\"100000\"/>");
  same_bits("", "<cloud-only prompt_cache=\"yes\"/>",
            "<short-at-edge longest=\"0\" prompt_cache=\"yes\"/>");
}
END_TEST

START_TEST(test_by_length) {
  simulation edge = choices_run(IDLE, "", "<edge-only/>"),
             cloud = choices_run(IDLE, "", "<cloud-only/>"),
             s = choices_run(IDLE, "", "<short-at-edge longest=\"50\"/>");
  int n[2] = {0};
  for (size_t i = 0; i < s.n; i++) {
    bool brief = s.rows[i].prompt_tokens <= 50;
    n[brief]++;
    ck_assert(memcmp(&s.rows[i], brief ? &edge.rows[i] : &cloud.rows[i], sizeof *s.rows) == 0);
  }
  ck_assert(n[0] > 20 && n[1] > 20);
  free(edge.rows), free(cloud.rows), free(s.rows);
}
END_TEST

START_TEST(test_bad_lengths) {
  bad_input("", "<short-at-edge longest=\"-1\"/>",
            "<short-at-edge> longest \"-1\" is not allowed; give a whole number of at least 0");
}
END_TEST

RUN_SUITE("new_strategy", test_it_is_listed, test_degenerate_cases, test_by_length,
          test_bad_lengths)
