/* Hosts whose speed varies: iterations against the integral of the speed, done by hand. */
#include "../support.h"

#include <math.h>

static char *text_on(const char *host, const char *requests) {
  return celslm_format(
      "<scenario name=\"t\"><platform file=\"%s\"/><models><model "
      "file=\"models/small.xml\"/></models>"
      "<engines><engine name=\"c\" host=\"gpu\" model=\"small\" "
      "fixed_iteration=\"100ms\"/></engines>"
      "<workload requests=\"%s\"><arrivals><deterministic interval=\"1h\"/></arrivals>"
      "<prompt><fixed tokens=\"10\"/></prompt><output><fixed tokens=\"41\"/></output></workload>"
      "<strategy><cloud-only/></strategy></scenario>",
      host, requests);
}

/* One host, cloud, with these attributes. */
static char *platform(const char *attributes) {
  char name[] = CELSLM_TEST_DATA "/tmp-XXXXXX";
  int fd = mkstemp(name);
  ck_assert_int_ge(fd, 0);
  FILE *f = fdopen(fd, "w");
  fprintf(
      f,
      "<?xml version=\"1.0\"?>\n<!DOCTYPE platform SYSTEM \"https://simgrid.org/simgrid.dtd\">\n"
      "<platform version=\"4.1\"><zone id=\"z\" routing=\"Full\"><host id=\"gpu\" %s>"
      "<prop id=\"celslm.role\" value=\"cloud\"/><prop id=\"celslm.profile\" value=\"gpu\"/>"
      "</host></zone></platform>",
      attributes);
  fclose(f);
  return celslm_strdup(name);
}

static double last_token_on(const char *attributes) {
  char *file = platform(attributes), *text = text_on(strrchr(file, '/') + 1, "1");
  simulation s = simulate(text, 0, false);
  unlink(file);
  ck_assert_msg(s.status == 0, "%s", s.error);
  double last = s.rows[0].last_token - s.rows[0].queued;
  free(file), free(text), free(s.rows);
  return last;
}

/* 41 iterations of 100 ms. */
START_TEST(test_states) {
  ck_assert_double_eq_tol(last_token_on("speed=\"100Gf\""), 4.1, 1e-9);
  ck_assert_double_eq_tol(last_token_on("speed=\"100Gf,25Gf\""), 4.1, 1e-9);
  ck_assert_double_eq_tol(last_token_on("speed=\"100Gf,25Gf\" pstate=\"1\""), 16.4, 41e-9);
}
END_TEST

/* At full speed for the first second after every multiple of 3 s, at half speed for the next two:
 * 2 s of work every 3 s. The request comes an hour (a multiple of 3 s) after the start: 4.1 s of
 * work end 6.1 s later. */
START_TEST(test_speed_over_time) {
  char file[] = CELSLM_TEST_DATA "/tmp-XXXXXX";
  FILE *f = fdopen(mkstemp(file), "w");
  fputs("# half speed for two seconds of three\nPERIODICITY 3\n0 1\n1 0.5\n", f);
  fclose(f);
  char *attributes = celslm_format("speed=\"100Gf\" speed_file=\"%s\"", strrchr(file, '/') + 1);
  double last = last_token_on(attributes);
  unlink(file);
  ck_assert_msg(fabs(last - 6.1) < 1e-6, "%.9f", last);
  free(attributes);
}
END_TEST

RUN_SUITE("speeds", test_states, test_speed_over_time)
