/* test_units.c - quantities with units: right values, to the bit, and refusals, to the letter. */
#include "base/units.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *text;
  celslm_unit unit;
  double value;
} good[] = {
    {"0", CELSLM_UNIT_NUMBER, 0},
    {"-1.5", CELSLM_UNIT_NUMBER, -1.5},
    {"1e-3", CELSLM_UNIT_NUMBER, 1e-3},
    {"+2", CELSLM_UNIT_NUMBER, 2},
    {"10Gbps", CELSLM_UNIT_RATE, 1.25e9},
    {"1.25GBps", CELSLM_UNIT_RATE, 1.25e9},
    {"1MiBps", CELSLM_UNIT_RATE, 1048576},
    {"5ms", CELSLM_UNIT_TIME, 5e-3},
    {"5 ms", CELSLM_UNIT_TIME, 5e-3},
    {"35us", CELSLM_UNIT_TIME, 35e-6}, /* 35 * 1e-6 would be another double */
    {"3ns", CELSLM_UNIT_TIME, 3e-9},
    {"2min", CELSLM_UNIT_TIME, 120},
    {"1d", CELSLM_UNIT_TIME, 86400},
    {"8GiB", CELSLM_UNIT_BYTES, 8589934592.0},
    {"8GB", CELSLM_UNIT_BYTES, 8e9},
    {"8Gb", CELSLM_UNIT_BYTES, 1e9},
    {"60B", CELSLM_UNIT_BYTES, 60},
    {"312Tf", CELSLM_UNIT_FLOPS, 312e12},
    {"3.5GHz", CELSLM_UNIT_FREQ, 3.5e9},
    {"400mW", CELSLM_UNIT_POWER, 0.4},
    {"-5dBm", CELSLM_UNIT_DBM, -5},
    {"8dBi", CELSLM_UNIT_DB, 8},
    {"-3dB", CELSLM_UNIT_DB, -3},
    {"0.2km", CELSLM_UNIT_LENGTH, 200},
    {"36km/h", CELSLM_UNIT_SPEED, 10},
    {"240/min", CELSLM_UNIT_COUNTS, 4},
    {"3/h", CELSLM_UNIT_COUNTS, 3 / 3600.0},
    {"2kWh", CELSLM_UNIT_ENERGY, 7.2e6},
    {"0.25EUR", CELSLM_UNIT_MONEY, 25},
};

START_TEST(test_good) {
  double value = NAN;
  char why[300] = "";
  ck_assert_msg(celslm_parse_quantity(good[_i].text, good[_i].unit, &value, why, sizeof why),
                "%s: %s", good[_i].text, why);
  ck_assert_msg(memcmp(&value, &good[_i].value, sizeof value) == 0, "%s: %.17g, not %.17g",
                good[_i].text, value, good[_i].value);
}
END_TEST

static const struct {
  const char *text;
  celslm_unit unit;
  const char *why;
} bad[] = {
    {"10", CELSLM_UNIT_TIME, "\"10\": no unit; give a time such as 5ms (ns, us, ms, s, min, h, d)"},
    {"10Gbps", CELSLM_UNIT_TIME,
     "\"10Gbps\": wrong unit; give a time such as 5ms (ns, us, ms, s, min, h, d)"},
    {"10S", CELSLM_UNIT_TIME,
     "\"10S\": wrong unit; give a time such as 5ms (ns, us, ms, s, min, h, d)"},
    {"10ms!", CELSLM_UNIT_TIME,
     "\"10ms!\": wrong unit; give a time such as 5ms (ns, us, ms, s, min, h, d)"},
    {"0.5s", CELSLM_UNIT_NUMBER, "\"0.5s\": wrong unit; give a plain number such as 0.5"},
    {"", CELSLM_UNIT_NUMBER, "\"\": not a number; give a plain number such as 0.5"},
    {"ms", CELSLM_UNIT_TIME,
     "\"ms\": not a number; give a time such as 5ms (ns, us, ms, s, min, h, d)"},
    {"nan", CELSLM_UNIT_NUMBER, "\"nan\": not a number; give a plain number such as 0.5"},
    {"-NAN", CELSLM_UNIT_NUMBER, "\"-NAN\": not a number; give a plain number such as 0.5"},
    {"inf", CELSLM_UNIT_NUMBER, "\"inf\": not a number; give a plain number such as 0.5"},
    {"-infinity", CELSLM_UNIT_NUMBER,
     "\"-infinity\": not a number; give a plain number such as 0.5"},
    {"0x10", CELSLM_UNIT_NUMBER, "\"0x10\": not a number; give a plain number such as 0.5"},
    {"-0x10", CELSLM_UNIT_NUMBER, "\"-0x10\": not a number; give a plain number such as 0.5"},
    {" 1", CELSLM_UNIT_NUMBER, "\" 1\": not a number; give a plain number such as 0.5"},
    {"1e400", CELSLM_UNIT_NUMBER, "\"1e400\": out of range; give a plain number such as 0.5"},
    {"1e300Tf", CELSLM_UNIT_FLOPS,
     "\"1e300Tf\": out of range; give a speed such as 312Tf (f, Mf, Gf, Tf)"},
    {"23dB", CELSLM_UNIT_DBM, "\"23dB\": wrong unit; give a power such as 23dBm"},
    {"8dBm", CELSLM_UNIT_DB, "\"8dBm\": wrong unit; give a gain such as 8dB or 8dBi"},
    {"4", CELSLM_UNIT_COUNTS, "\"4\": no unit; give a rate such as 8/s (/s, /min, /h)"},
};

START_TEST(test_bad) {
  double value = 42;
  char why[300] = "";
  ck_assert(!celslm_parse_quantity(bad[_i].text, bad[_i].unit, &value, why, sizeof why));
  ck_assert_str_eq(why, bad[_i].why);
  ck_assert(value == 42); /* untouched */
  ck_assert(!celslm_parse_quantity(bad[_i].text, bad[_i].unit, &value, NULL, 0));
}
END_TEST

START_TEST(test_long_text) {
  char text[5000], why[300];
  memset(text, '1', sizeof text - 1);
  text[sizeof text - 1] = 0;
  double value;
  ck_assert(!celslm_parse_quantity(text, CELSLM_UNIT_TIME, &value, why, sizeof why));
  ck_assert_uint_lt(strlen(why), sizeof why);
}
END_TEST

START_TEST(test_examples) {
  for (int u = CELSLM_UNIT_NUMBER; u <= CELSLM_UNIT_MONEY; u++)
    ck_assert_ptr_nonnull(celslm_unit_example((celslm_unit)u));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("units");
  TCase *tests = tcase_create("units");
  tcase_add_loop_test(tests, test_good, 0, sizeof good / sizeof *good);
  tcase_add_loop_test(tests, test_bad, 0, sizeof bad / sizeof *bad);
  tcase_add_test(tests, test_long_text);
  tcase_add_test(tests, test_examples);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
