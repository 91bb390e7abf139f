/* Results files: what is written is read back, the same rows give the same bytes, parts join to the
 * file that direct writing gives, and every way to fail has its message. */
#include "files.h"

#include "record/record.h"

#include <fcntl.h>
#include <hdf5.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>

typedef struct row {
  uint8_t kind;
  double x;
  uint32_t u;
  int64_t i;
} row;

static const char *const kinds[] = {"plain", "with \"quotes\"", "grün", NULL};
static const char *const no_names[] = {NULL};

static const celslm_column columns[] = {
    {"kind", "1", "of which kind", CELSLM_U8, offsetof(row, kind), kinds},
    {"x", "s", "a number", CELSLM_F64, offsetof(row, x), NULL},
    {"u", "B", "a count", CELSLM_U32, offsetof(row, u), NULL},
    {"i", "token", "a large count", CELSLM_I64, offsetof(row, i), no_names},
};

static row make_row(uint64_t n) {
  row r = {.kind = (uint8_t)(n % 3), .u = (uint32_t)(n * 2654435761u), .i = -(int64_t)(n * n)};
  r.x = n % 7 == 3 ? NAN : n % 7 == 4 ? INFINITY : sqrt((double)n);
  return r;
}

/* Rows [from, to) in the table "a", one row in "b", nothing in "c". */
static void write_file(const char *file, uint64_t from, uint64_t to) {
  celslm_error err = {""};
  celslm_results *r = celslm_results_create(file, &err);
  ck_assert_msg(r != NULL, "%s", err.text);
  ck_assert(celslm_results_provenance(r, "seed", "42", &err));
  ck_assert(celslm_results_provenance(r, "scenario", "<scenario>\n</scenario>\n", &err));
  celslm_table *a = celslm_results_table(r, "a", "many rows", columns, 4, &err);
  celslm_table *b = celslm_results_table(r, "/b", "one row per part", columns, 2, &err);
  celslm_table *c = celslm_results_table(r, "c", "no rows", columns, 4, &err);
  ck_assert_msg(a && b && c, "%s", err.text);
  for (uint64_t n = from; n < to; n++) {
    row one = make_row(n);
    celslm_table_append(a, &one);
  }
  row one = make_row(from);
  celslm_table_append(b, &one);
  ck_assert_uint_eq(celslm_table_rows(a), to - from);
  ck_assert_msg(celslm_results_close(r, true, false, &err), "%s", err.text);
}

static void check_rows(const char *file, uint64_t n) {
  celslm_error err = {""};
  celslm_reader *r = celslm_reader_open(file, &err);
  ck_assert_msg(r != NULL, "%s", err.text);
  uint64_t rows;
  ck_assert(celslm_reader_rows(r, "a", &rows, &err));
  ck_assert_uint_eq(rows, n);
  double *kind = celslm_reader_column(r, "a", "kind", &err);
  double *x = celslm_reader_column(r, "a", "x", &err);
  double *u = celslm_reader_column(r, "a", "u", &err);
  double *i = celslm_reader_column(r, "a", "i", &err);
  ck_assert_msg(kind && x && u && i, "%s", err.text);
  for (uint64_t at = 0; at < n; at++) {
    row want = make_row(at);
    ck_assert(kind[at] == want.kind && u[at] == want.u && i[at] == (double)want.i);
    ck_assert(memcmp(&x[at], &want.x, sizeof want.x) == 0 || (isnan(x[at]) && isnan(want.x)));
  }
  free(kind), free(x), free(u), free(i);
  celslm_reader_close(r);
}

static void assert_same_bytes(const char *a, const char *b) {
  size_t n_a, n_b;
  char *bytes_a = slurp(a, &n_a), *bytes_b = slurp(b, &n_b);
  ck_assert_uint_eq(n_a, n_b);
  ck_assert_msg(memcmp(bytes_a, bytes_b, n_a) == 0, "%s and %s differ", a, b);
  free(bytes_a);
  free(bytes_b);
}

/* Sizes around the chunk of 16,384 rows. */
static const uint64_t sizes[] = {0, 1, 63, 64, 65, 16383, 16384, 16385, 50000};

START_TEST(rows_come_back) {
  write_file("r.h5", 0, sizes[_i]);
  ck_assert(!exists("r.h5.part"));
  check_rows("r.h5", sizes[_i]);
}
END_TEST

START_TEST(same_rows_same_bytes) {
  write_file("a.h5", 0, sizes[_i]);
  char *mess = malloc(1 << 20); /* the second file meets other memory */
  memset(mess, 0xA5, 1 << 20);
  free(mess);
  write_file("b.h5", 0, sizes[_i]);
  assert_same_bytes("a.h5", "b.h5");
}
END_TEST

START_TEST(what_a_file_says_of_itself) {
  celslm_error err = {""};
  write_file("r.h5", 0, 10);
  celslm_reader *r = celslm_reader_open("r.h5", &err);
  char **tables = celslm_reader_tables(r, &err);
  ck_assert_str_eq(tables[0], "a");
  ck_assert_str_eq(tables[1], "b");
  ck_assert_str_eq(tables[2], "c");
  ck_assert_ptr_null(tables[3]);
  celslm_names_free(tables);
  char *text = celslm_reader_description(r, "b", &err);
  ck_assert_str_eq(text, "one row per part");
  free(text);
  size_t n;
  celslm_column *read = celslm_reader_columns(r, "a", &n, &err);
  ck_assert_uint_eq(n, 4);
  size_t offset = 0;
  for (size_t i = 0; i < n; i++) {
    ck_assert_str_eq(read[i].name, columns[i].name);
    ck_assert_str_eq(read[i].units, columns[i].units);
    ck_assert_str_eq(read[i].description, columns[i].description);
    ck_assert_int_eq(read[i].type, columns[i].type);
    ck_assert_uint_eq(read[i].offset, offset);
    ck_assert_int_eq(read[i].names != NULL, columns[i].names != NULL);
    offset += celslm_type_size(read[i].type);
  }
  for (int i = 0; i < 4; i++) ck_assert_pstr_eq(read[0].names[i], kinds[i]);
  ck_assert_ptr_null(read[3].names[0]);
  celslm_columns_free(read, n);
  char **names = celslm_reader_names(r, "a", "kind", &err);
  ck_assert_str_eq(names[2], "grün");
  celslm_names_free(names);
  char **provenance = celslm_reader_provenance_names(r, &err);
  ck_assert_str_eq(provenance[0], "seed");
  ck_assert_str_eq(provenance[1], "scenario");
  celslm_names_free(provenance);
  text = celslm_reader_provenance(r, "scenario", &err);
  ck_assert_str_eq(text, "<scenario>\n</scenario>\n");
  free(text);
  celslm_reader_close(r);
}
END_TEST

START_TEST(blocks_of_a_column) {
  celslm_error err = {""};
  write_file("r.h5", 0, 20000);
  celslm_reader *r = celslm_reader_open("r.h5", &err);
  int64_t values[100];
  ck_assert(celslm_reader_block(r, "a", &columns[3], 16350, 100, values, &err));
  for (uint64_t i = 0; i < 100; i++) ck_assert(values[i] == make_row(16350 + i).i);
  ck_assert(!celslm_reader_block(r, "a", &columns[3], 19950, 100, values, &err));
  celslm_reader_close(r);
}
END_TEST

START_TEST(many_names) {
  enum { N = 20000 };
  celslm_error err = {""};
  char **names = calloc(N + 1, sizeof *names);
  for (int i = 0; i < N; i++) ck_assert_int_gt(asprintf(&names[i], "link%d", i), 0);
  celslm_column column = {"link", "1", "a link", CELSLM_U32, 0, (const char *const *)names};
  celslm_results *r = celslm_results_create("r.h5", &err);
  ck_assert_msg(celslm_results_table(r, "links", "", &column, 1, &err) != NULL, "%s", err.text);
  ck_assert_msg(celslm_results_close(r, true, false, &err), "%s", err.text);
  celslm_reader *reader = celslm_reader_open("r.h5", &err);
  char **read = celslm_reader_names(reader, "links", "link", &err);
  ck_assert_msg(read != NULL, "%s", err.text);
  for (int i = 0; i <= N; i++) ck_assert_pstr_eq(read[i], names[i]);
  celslm_names_free(read);
  celslm_names_free(names);
  celslm_reader_close(reader);
}
END_TEST

/* ---- joining --------------------------------------------------------------------------------- */

/* Like write_file with rows [0, to) but with the rows of "b" that the parts have. */
static void write_whole(const char *file, uint64_t to, const uint64_t *starts, int n) {
  celslm_error err = {""};
  celslm_results *r = celslm_results_create(file, &err);
  celslm_results_provenance(r, "seed", "42", &err);
  celslm_results_provenance(r, "scenario", "<scenario>\n</scenario>\n", &err);
  celslm_table *a = celslm_results_table(r, "a", "many rows", columns, 4, &err);
  celslm_table *b = celslm_results_table(r, "b", "one row per part", columns, 2, &err);
  celslm_results_table(r, "c", "no rows", columns, 4, &err);
  for (uint64_t i = 0; i < to; i++) {
    row one = make_row(i);
    celslm_table_append(a, &one);
  }
  for (int i = 0; i < n; i++) {
    row one = make_row(starts[i]);
    celslm_table_append(b, &one);
  }
  ck_assert_msg(celslm_results_close(r, true, false, &err), "%s", err.text);
}

START_TEST(parts_join_to_the_direct_file) {
  celslm_error err = {""};
  static const uint64_t starts[] = {0, 5000, 5000};
  static const char *const parts[] = {"p0", "p1", "p2"};
  write_file("p0", 0, 5000);
  write_file("p1", 5000, 5000); /* a part without rows */
  write_file("p2", 5000, 9000);
  ck_assert_msg(celslm_results_concatenate("joined.h5", parts, 3, &err), "%s", err.text);
  write_whole("direct.h5", 9000, starts, 3);
  assert_same_bytes("joined.h5", "direct.h5");
  ck_assert(exists("p0") && exists("p1") && exists("p2") && !exists("joined.h5.part"));
}
END_TEST

START_TEST(large_parts_join) {
  celslm_error err = {""};
  static const char *const parts[] = {"p0", "p1"};
  write_file("p0", 0, 40000);
  write_file("p1", 40000, 70001);
  ck_assert_msg(celslm_results_concatenate("joined.h5", parts, 2, &err), "%s", err.text);
  check_rows("joined.h5", 70001);
  ck_assert_msg(celslm_results_concatenate("again.h5", parts, 2, &err), "%s", err.text);
  assert_same_bytes("joined.h5", "again.h5");
}
END_TEST

/* A part with one table of its own making. */
static void write_odd(const char *file, const char *table, const celslm_column *of, size_t n) {
  celslm_error err = {""};
  celslm_results *r = celslm_results_create(file, &err);
  ck_assert_ptr_nonnull(celslm_results_table(r, table, "", of, n, &err));
  ck_assert(celslm_results_close(r, true, false, &err));
}

START_TEST(unlike_parts_do_not_join) {
  static const char *const other[] = {"plain", "other", NULL};
  celslm_column renamed = columns[0];
  renamed.names = other;
  write_odd("one", "a", columns, 2);
  write_odd("table", "z", columns, 2);
  write_odd("fewer", "a", columns, 1);
  write_odd("order", "a", columns + 1, 2);
  write_odd("names", "a", &renamed, 1);
  static const struct {
    const char *part, *message;
  } cases[] = {
      {"table", "table: has a table \"z\", the first part does not"},
      {"fewer", "fewer: table \"a\" has 1 columns, the first part's 2"},
      {"order", "order: column \"x\" of table \"a\" differs from the first part's"},
      {"names", "names: column \"kind\" of table \"a\" differs from the first part's"},
      {"gone", "gone: cannot be read: No such file or directory"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    celslm_error err = {""};
    const char *const parts[] = {"one", cases[i].part};
    ck_assert(!celslm_results_concatenate("joined.h5", parts, 2, &err));
    ck_assert_str_eq(err.text, cases[i].message);
    ck_assert(!exists("joined.h5") && !exists("joined.h5.part"));
  }
}
END_TEST

/* ---- failures -------------------------------------------------------------------------------- */

/* An HDF5 file with these root attributes; format NULL: none. */
static void write_foreign(const char *file, const char *format, long long version) {
  hid_t h5 = H5Fcreate(file, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  if (format) {
    hid_t a = H5Acreate2(h5, "format", type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, type, &format);
    H5Aclose(a);
    hid_t v = H5Acreate2(h5, "format_version", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(v, H5T_NATIVE_LLONG, &version);
    H5Aclose(v);
  }
  H5Tclose(type);
  H5Sclose(space);
  H5Fclose(h5);
}

START_TEST(files_that_cannot_be_read) {
  size_t size;
  write_file("good.h5", 0, 1000);
  char *bytes = slurp("good.h5", &size);
  spill("short.h5", bytes, 4000);
  spill("empty.h5", bytes, 0);
  spill("text.h5", "requests,ttft\n1,0.2\n", 20);
  free(bytes);
  write_foreign("foreign.h5", NULL, 0);
  write_foreign("other.h5", "other results", 1);
  write_foreign("newer.h5", "celslm results", 2);
  ck_assert_int_eq(mkdir("folder", 0777), 0);
  static const struct {
    const char *file, *message;
  } cases[] = {
      {"gone.h5", "gone.h5: cannot be read: No such file or directory"},
      {"folder", "folder: is a directory; give a results file"},
      {"empty.h5", "empty.h5: is empty; the run that made it did not finish"},
      {"text.h5", "text.h5: is not an HDF5 file; give a results file"},
      {"short.h5", "short.h5: is cut short or damaged: 4000 bytes are not the whole"},
      {"foreign.h5", "foreign.h5: is an HDF5 file, but no results file of celslm (its root has no "
                     "attribute format=\"celslm results\")"},
      {"other.h5", "other.h5: is an HDF5 file, but no results file of celslm (its root has no "
                   "attribute format=\"celslm results\")"},
      {"newer.h5", "newer.h5: is of format version 2; this program reads version 1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    celslm_error err = {""};
    ck_assert_ptr_null(celslm_reader_open(cases[i].file, &err));
    ck_assert_str_eq(err.text, cases[i].message);
  }
}
END_TEST

/* Wherever it is cut, a file is refused with one line; nothing crashes. */
START_TEST(files_cut_anywhere) {
  size_t size;
  write_file("good.h5", 0, 100);
  char *bytes = slurp("good.h5", &size);
  for (size_t keep = 1; keep < size; keep += 1 + size / 200) {
    celslm_error err = {""};
    spill("short.h5", bytes, keep);
    ck_assert_ptr_null(celslm_reader_open("short.h5", &err));
    ck_assert_ptr_nonnull(strstr(err.text, keep < 8 ? "not an HDF5 file" : "short.h5: is "));
  }
  free(bytes);
}
END_TEST

START_TEST(what_is_not_in_the_file) {
  write_file("r.h5", 0, 3);
  celslm_error none = {""};
  celslm_reader *r = celslm_reader_open("r.h5", &none);
  celslm_error err = {""};
  uint64_t rows = 7;
  ck_assert(!celslm_reader_rows(r, "z", &rows, &err) && rows == 0);
  ck_assert_str_eq(err.text, "r.h5: there is no table \"z\"; there are a, b and c");
  err.text[0] = 0;
  ck_assert_ptr_null(celslm_reader_column(r, "b", "u", &err));
  ck_assert_str_eq(err.text, "r.h5: table \"b\" has no column \"u\"; there are kind and x");
  err.text[0] = 0;
  ck_assert_ptr_null(celslm_reader_names(r, "a", "x", &err));
  ck_assert_str_eq(err.text,
                   "r.h5: column \"x\" of table \"a\" has no names: it holds plain numbers");
  err.text[0] = 0;
  ck_assert_ptr_null(celslm_reader_provenance(r, "commit", &err));
  ck_assert_str_eq(err.text,
                   "r.h5: there is no provenance \"commit\"; there are seed and scenario");
  celslm_reader_close(r);
}
END_TEST

START_TEST(a_damaged_column) {
  celslm_error err = {""};
  size_t size;
  write_file("r.h5", 0, 50000);
  char *bytes = slurp("r.h5", &size);
  memset(bytes + size / 2, 0x55, 256);
  spill("r.h5", bytes, size);
  free(bytes);
  celslm_reader *r = celslm_reader_open("r.h5", &err);
  ck_assert_msg(r != NULL, "%s", err.text);
  int damaged = 0;
  for (int i = 0; i < 4; i++) {
    char want[128];
    snprintf(want, sizeof want,
             "r.h5: column \"%s\" of table \"a\" cannot be read: the file is damaged",
             columns[i].name);
    err.text[0] = 0;
    double *values = celslm_reader_column(r, "a", columns[i].name, &err);
    if (!values) ck_assert_str_eq(err.text, want);
    damaged += !values;
    free(values);
  }
  ck_assert_int_ge(damaged, 1);
  celslm_reader_close(r);
}
END_TEST

START_TEST(places_that_cannot_be_written) {
  ck_assert_int_eq(mkdir("folder.h5", 0777), 0);
  ck_assert_int_eq(mkdir("taken.h5.part", 0777), 0);
  spill("plain", "x", 1);
  static const struct {
    const char *file, *message;
  } cases[] = {
      {"no/such/r.h5", "no/such/r.h5: the directory no/such does not exist; create it first"},
      {"plain/r.h5", "plain/r.h5: cannot be written: Not a directory"},
      {"taken.h5", "taken.h5: cannot be written: Is a directory"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    celslm_error err = {""};
    ck_assert_ptr_null(celslm_results_create(cases[i].file, &err));
    ck_assert_str_eq(err.text, cases[i].message);
  }
  celslm_error err = {""};
  celslm_results *r = celslm_results_create("folder.h5", &err);
  ck_assert_ptr_nonnull(r);
  ck_assert(!celslm_results_close(r, true, false, &err));
  ck_assert_str_eq(err.text, "folder.h5: cannot be put in place: Is a directory");
  ck_assert(!exists("folder.h5.part"));
}
END_TEST

START_TEST(one_writer_at_a_time) {
  celslm_error err = {""};
  celslm_results *r = celslm_results_create("r.h5", &err);
  ck_assert_ptr_nonnull(r);
  ck_assert_ptr_null(celslm_results_create("r.h5", &err));
  ck_assert_str_eq(err.text, "r.h5: another run is writing it (r.h5.part is in use)");
  ck_assert(celslm_results_close(r, true, false, NULL));
  ck_assert(exists("r.h5"));
}
END_TEST

START_TEST(the_part_file) {
  celslm_error err = {""};
  spill("r.h5", "old", 3);
  celslm_results *r = celslm_results_create("r.h5", &err);
  ck_assert(exists("r.h5.part"));
  ck_assert(celslm_results_close(r, false, false, &err)); /* given up */
  ck_assert(!exists("r.h5.part"));
  char *old = slurp("r.h5", NULL); /* what stood there before still does */
  ck_assert_str_eq(old, "old");
  free(old);
  r = celslm_results_create("r.h5", &err);
  celslm_table *t = celslm_results_table(r, "a", "", columns, 4, &err);
  row one = make_row(1);
  celslm_table_append(t, &one);
  ck_assert(celslm_results_close(r, false, true, &err)); /* interrupted */
  ck_assert(exists("r.h5.part"));
  celslm_reader *reader = celslm_reader_open("r.h5.part", &err);
  uint64_t rows;
  ck_assert(celslm_reader_rows(reader, "a", &rows, &err) && rows == 1);
  celslm_reader_close(reader);
}
END_TEST

/* The file may not grow beyond a limit, as on a full disk: the run goes on, and close says so. */
START_TEST(a_full_disk) {
  static const rlim_t limits[] = {100000, 400000, 1000000};
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit = {limits[_i], limits[_i]};
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
  celslm_error err = {""};
  celslm_results *r = celslm_results_create("r.h5", &err);
  celslm_table *t = celslm_results_table(r, "a", "", columns, 4, &err);
  for (uint64_t i = 0; i < 400000; i++) {
    row one = make_row(i * i * 977);
    one.x = (double)(i * 2654435761u % 1000003) * 1e-9;
    celslm_table_append(t, &one);
  }
  ck_assert_uint_eq(celslm_table_rows(t), 400000);
  ck_assert(!celslm_results_close(r, true, false, &err));
  ck_assert_str_eq(err.text, "r.h5: cannot be written: File too large");
  ck_assert(!exists("r.h5") && !exists("r.h5.part"));
}
END_TEST

START_TEST(wrong_calls) {
  celslm_error err = {""};
  celslm_results *r = celslm_results_create("r.h5", &err);
  ck_assert(celslm_results_provenance(r, "seed", "1", &err));
  ck_assert(!celslm_results_provenance(r, "seed", "2", &err));
  ck_assert_str_eq(err.text, "r.h5: provenance \"seed\" is given twice");
  err.text[0] = 0;
  ck_assert_ptr_nonnull(celslm_results_table(r, "a", "", columns, 4, &err));
  ck_assert_ptr_null(celslm_results_table(r, "a", "", columns, 4, &err));
  ck_assert_str_eq(err.text, "r.h5: table \"a\" is made twice");
  err.text[0] = 0;
  ck_assert_ptr_null(celslm_results_table(r, "a/b", "", columns, 4, &err));
  ck_assert_str_eq(err.text, "r.h5: \"a/b\" is no name for a table");
  ck_assert(celslm_results_close(r, true, false, NULL));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("results");
  TCase *files = tcase_create("files");
  tcase_add_checked_fixture(files, enter_scratch, leave_scratch);
  const int n_sizes = sizeof sizes / sizeof *sizes;
  tcase_add_loop_test(files, rows_come_back, 0, n_sizes);
  tcase_add_loop_test(files, same_rows_same_bytes, 0, n_sizes);
  tcase_add_test(files, what_a_file_says_of_itself);
  tcase_add_test(files, blocks_of_a_column);
  tcase_add_test(files, many_names);
  tcase_add_test(files, parts_join_to_the_direct_file);
  tcase_add_test(files, large_parts_join);
  tcase_add_test(files, unlike_parts_do_not_join);
  tcase_add_test(files, files_that_cannot_be_read);
  tcase_add_test(files, files_cut_anywhere);
  tcase_add_test(files, what_is_not_in_the_file);
  tcase_add_test(files, a_damaged_column);
  tcase_add_test(files, places_that_cannot_be_written);
  tcase_add_test(files, one_writer_at_a_time);
  tcase_add_test(files, the_part_file);
  tcase_add_loop_test(files, a_full_disk, 0, 3);
  tcase_add_test(files, wrong_calls);
  suite_add_tcase(suite, files);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
