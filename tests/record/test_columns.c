/* The column arrays describe the row structs completely: every byte of a row but padding belongs to
 * exactly one column, in the order of the struct, with a unit and a sentence. */
#include "files.h"

#include "record/radio.h"
#include "record/request.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *table;
  const celslm_column *columns;
  const size_t *n;
  size_t row_size;
} tables[] = {
    {"requests", celslm_request_columns, &celslm_request_n_columns, sizeof(celslm_request_row)},
    {"engines", celslm_engine_columns, &celslm_engine_n_columns, sizeof(celslm_engine_row)},
    {"links", celslm_link_columns, &celslm_link_n_columns, sizeof(celslm_link_row)},
    {"hosts", celslm_host_columns, &celslm_host_n_columns, sizeof(celslm_host_row)},
    {"cells", celslm_cell_columns, &celslm_cell_n_columns, sizeof(celslm_cell_row)},
    {"contexts", celslm_context_columns, &celslm_context_n_columns, sizeof(celslm_context_row)},
    {"timeline", celslm_span_columns, &celslm_span_n_columns, sizeof(celslm_span_row)},
    {"iterations", celslm_iteration_columns, &celslm_iteration_n_columns,
     sizeof(celslm_iteration_row)},
    {"users", celslm_user_columns, &celslm_user_n_columns, sizeof(celslm_user_row)},
    {"trajectory", celslm_trajectory_columns, &celslm_trajectory_n_columns,
     sizeof(celslm_trajectory_row)},
    {"handovers", celslm_handover_columns, &celslm_handover_n_columns, sizeof(celslm_handover_row)},
    {"drops", celslm_drop_columns, &celslm_drop_n_columns, sizeof(celslm_drop_row)},
    {"faults", celslm_fault_columns, &celslm_fault_n_columns, sizeof(celslm_fault_row)},
    {"map", celslm_map_columns, &celslm_map_n_columns, sizeof(celslm_map_row)},
    {"summary", celslm_summary_columns, &celslm_summary_n_columns, sizeof(celslm_summary_row)},
};

START_TEST(columns_cover_the_row) {
  size_t at = 0;
  for (size_t i = 0; i < *tables[_i].n; i++) {
    const celslm_column *c = &tables[_i].columns[i];
    size_t size = celslm_type_size(c->type);
    size_t padded = (at + size - 1) / size * size; /* where the compiler puts the next field */
    ck_assert_msg(c->offset == padded, "%s/%s is at %zu, not behind the column before it (%zu)",
                  tables[_i].table, c->name, c->offset, padded);
    at = c->offset + size;
  }
  ck_assert_uint_eq((at + 7) / 8 * 8, (tables[_i].row_size + 7) / 8 * 8);
}
END_TEST

static int known_unit(const char *unit) {
  static const char *const units[] = {"1",     "s", "B",  "J",   "1/s",  "token", "token/s",
                                      "block", "m", "dB", "B/s", "cent", "1/cent"};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcmp(unit, units[i]) == 0) return 1;
  return 0;
}

START_TEST(columns_say_what_they_are) {
  for (size_t i = 0; i < *tables[_i].n; i++) {
    const celslm_column *c = &tables[_i].columns[i];
    ck_assert_msg(known_unit(c->units), "%s/%s is in %s", tables[_i].table, c->name, c->units);
    ck_assert_uint_gt(strlen(c->description), 5);
    ck_assert_msg(c->type != CELSLM_F64 || strcmp(c->units, "token") != 0, "%s is a count",
                  c->name);
    for (size_t j = 0; j < i; j++) ck_assert_str_ne(c->name, tables[_i].columns[j].name);
  }
}
END_TEST

/* docs/results-format.md has every column of every table, word for word. */
START_TEST(columns_are_documented) {
  size_t size;
  char *docs = slurp(CELSLM_SOURCE_DIR "/docs/results-format.md", &size);
  char heading[64], line[512];
  snprintf(heading, sizeof heading, "\n## /%s\n", tables[_i].table);
  const char *at = strstr(docs, heading);
  ck_assert_msg(at != NULL, "docs/results-format.md has no section on /%s", tables[_i].table);
  static const char *const types[] = {"f64", "i64", "u32", "u8"};
  for (size_t i = 0; i < *tables[_i].n; i++) {
    const celslm_column *c = &tables[_i].columns[i];
    snprintf(line, sizeof line, "\n| `%s` | %s | %s | %s |\n", c->name, c->units, types[c->type],
             c->description);
    const char *found = strstr(at, line);
    ck_assert_msg(found != NULL, "docs/results-format.md, /%s lacks the line%s", tables[_i].table,
                  line);
    at = found;
  }
  free(docs);
}
END_TEST

START_TEST(names_match_the_enumerations) {
  const celslm_column *end = &celslm_request_columns[1], *source = &celslm_request_columns[2];
  const celslm_column *place = &celslm_span_columns[1], *kind = &celslm_span_columns[2];
  ck_assert_str_eq(end->names[CELSLM_IN_FLIGHT], "in flight");
  ck_assert_ptr_null(end->names[CELSLM_IN_FLIGHT + 1]);
  ck_assert_str_eq(source->names[CELSLM_CONTEXT_JOINED], "joined");
  ck_assert_ptr_null(source->names[CELSLM_CONTEXT_JOINED + 1]);
  ck_assert_str_eq(place->names[2], "cell");
  ck_assert_ptr_null(place->names[3]);
  ck_assert_str_eq(kind->names[CELSLM_SPAN_TOKENS], "tokens");
  ck_assert_ptr_null(kind->names[CELSLM_SPAN_TOKENS + 1]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("columns");
  TCase *columns = tcase_create("columns");
  const int n = sizeof tables / sizeof *tables;
  tcase_add_loop_test(columns, columns_cover_the_row, 0, n);
  tcase_add_loop_test(columns, columns_say_what_they_are, 0, n);
  tcase_add_loop_test(columns, columns_are_documented, 0, n);
  tcase_add_test(columns, names_match_the_enumerations);
  suite_add_tcase(suite, columns);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
