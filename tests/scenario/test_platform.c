/* test_platform.c - platforms: exact structs, and a normalised copy that SimGrid loads and routes
 * over as the file says. Each test is a process of its own: SimGrid loads one platform per life. */
#include "scenario/platform.h"

#include <check.h>
#include <math.h>
#include <simgrid/engine.h>
#include <simgrid/host.h>
#include <simgrid/link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xbt/log.h>

static celslm_platform *load(const char *file, const char *profiles) {
  celslm_error err = {""};
  ck_assert_int_eq(chdir(CELSLM_TEST_DATA), 0);
  celslm_platform *p = celslm_platform_load(file, profiles, &err);
  ck_assert_msg(p != NULL, "%s", err.text);
  return p;
}

START_TEST(test_structs) {
  celslm_platform *p = load("small.xml", NULL);
  ck_assert_str_eq(p->file, "small.xml");
  ck_assert_str_eq(p->name, "small");
  ck_assert_int_eq(p->n_hosts, 4);
  ck_assert_int_eq(p->n_links, 3);
  ck_assert_int_eq(p->n_cells, 1);
  ck_assert_int_eq(p->n_profiles, 2); /* gpu is used twice and loaded once */
  ck_assert_ptr_eq(p->hosts[0].profile, p->hosts[2].profile);
  ck_assert_int_eq(p->hosts[0].role, CELSLM_CLOUD);
  ck_assert_int_eq(p->hosts[0].accelerators, 2);
  ck_assert_int_eq(p->hosts[1].role, CELSLM_EDGE);
  ck_assert_int_eq(p->hosts[1].cores, 2);
  ck_assert(p->hosts[1].speed == 200e9);
  ck_assert_int_eq(p->hosts[1].line, 11);
  ck_assert_int_eq(p->hosts[3].role, CELSLM_CELL);
  ck_assert_ptr_null(p->hosts[3].profile);
  ck_assert(p->links[0].bandwidth == 125e6 && p->links[0].latency == 10e-3);
  ck_assert(p->links[0].split_duplex && !p->links[0].fat_pipe);
  ck_assert(p->links[1].latency == 500e-6 && !p->links[1].split_duplex && !p->links[1].fat_pipe);
  ck_assert(p->links[2].bandwidth == 1.25e9 && p->links[2].fat_pipe);
  ck_assert_int_eq(celslm_platform_host(p, "edge1"), 2);
  ck_assert_int_eq(celslm_platform_host(p, "switch"), -1);
  const celslm_cell *c = &p->cells[0];
  ck_assert_int_eq(c->host, 3);
  ck_assert_int_eq(c->serves, 1);
  ck_assert(c->carrier == 3.5e9 && c->bandwidth == 100e6);
  ck_assert(c->tx_power == 44 && c->ue_tx_power == 23);
  ck_assert(c->antenna_gain == 8 && c->ue_antenna_gain == -1);
  ck_assert(c->noise_figure == 5 && c->ue_noise_figure == 7);
  ck_assert(c->height == 10 && c->x == -100 && c->y == 200);
  ck_assert(c->dl_share == 0.743 && c->ul_share == 0.229);
  ck_assert_int_eq(c->dl_layers, 4);
  ck_assert_int_eq(c->ul_layers, 1);
  celslm_platform_free(p);
}
END_TEST

static void start_simgrid(const celslm_platform *p) {
  static char name[] = "test", quiet[] = "--log=root.thres:critical";
  char *arguments[] = {name, quiet, NULL};
  int n = 2;
  simgrid_init(&n, arguments);
  int fd = memfd_create("platform.xml", 0);
  ck_assert_int_eq((int)write(fd, p->normalised, strlen(p->normalised)),
                   (int)strlen(p->normalised));
  char path[100];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  simgrid_load_platform(path);
  simgrid_run_until(0); /* only running seals the zone; routes cannot be asked for before */
}

static void check_route(const char *a, const char *b, double latency, double bandwidth) {
  sg_host_t from = sg_host_by_name(a), to = sg_host_by_name(b);
  ck_assert_ptr_nonnull(from);
  ck_assert_ptr_nonnull(to);
  ck_assert_double_eq_tol(sg_host_get_route_latency(from, to), latency, 1e-15);
  ck_assert_double_eq_tol(sg_host_get_route_bandwidth(from, to), bandwidth, 1e-3);
}

START_TEST(test_simgrid_small) {
  celslm_platform *p = load("small.xml", NULL);
  start_simgrid(p);
  ck_assert_int_eq((int)sg_host_count(), 4);
  sg_host_t edge0 = sg_host_by_name("edge0");
  ck_assert(sg_host_get_speed(edge0) == 200e9);
  ck_assert_int_eq(sg_host_core_count(edge0), 2);
  ck_assert_str_eq(sg_host_get_property_value(edge0, "owner"), "A & B \"Ltd\"");
  check_route("edge0", "cloud", 10.5e-3, 125e6);
  check_route("cloud", "edge0", 10.5e-3, 125e6);
  check_route("edge0", "edge1", 1e-3, 1.25e9);
  check_route("gnb0", "edge0", 50e-6, 1.25e9);
  check_route("gnb0", "cloud", 10.55e-3, 125e6);
  ck_assert_double_eq_tol(sg_link_get_latency(sg_link_by_name("wan_UP")), 10e-3, 1e-15);
  ck_assert_double_eq_tol(sg_link_get_bandwidth(sg_link_by_name("wan_DOWN")), 125e6, 1e-6);
  celslm_platform_free(p);
}
END_TEST

START_TEST(test_simgrid_metro) { /* the shipped one, but for the profile that calibration writes */
  char folder[] = "/tmp/celslm-test-XXXXXX", command[1500];
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(command, sizeof command,
           "cp %s/platforms/profiles/*.xml %s && cp %s/profiles/this-machine.xml %s",
           CELSLM_SOURCE_DIR, folder, CELSLM_TEST_DATA, folder); /* the frozen one last */
  ck_assert_int_eq(system(command), 0);
  celslm_platform *p = load(CELSLM_SOURCE_DIR "/platforms/metro_6g.xml", folder);
  snprintf(command, sizeof command, "rm -r %s", folder);
  ck_assert_int_eq(system(command), 0);
  start_simgrid(p);
  check_route("edge0", "cloud", 10.25e-3, 1.25e9);
  check_route("cloud", "edge3", 11e-3, 1.25e9);
  check_route("edge0", "edge1", 0.75e-3, 3.125e9);
  check_route("gnb2", "edge2", 50e-6, 3.125e9);
  check_route("gnb0", "gnb3", 1.35e-3, 1.25e9);
  celslm_platform_free(p);
}
END_TEST

/* The other routings, written here: three hosts in a row, the middle one between two links. */
static const char *const row =
    "<platform version='4.1'><zone id='row' routing='%s'>"
    "<host id='a' speed='1Gf'><prop id='celslm.role' value='device'/></host>"
    "<host id='b' speed='1Gf'><prop id='celslm.role' value='router'/></host>"
    "<host id='c' speed='1Gf'><prop id='celslm.role' value='device'/></host>"
    "<link id='ab' bandwidth='8Gbps' latency='1ms' sharing_policy='SPLITDUPLEX'/>"
    "<link id='bc' bandwidth='4Gbps' latency='2ms'/>"
    "<route src='a' dst='b'><link_ctn id='ab' direction='UP'/></route>"
    "<route src='b' dst='c' symmetrical='NO'><link_ctn id='bc'/></route>"
    "<route src='c' dst='b' symmetrical='NO'><link_ctn id='bc'/></route>%s</zone></platform>";

static celslm_platform *load_row(const char *routing, const char *more, celslm_error *err) {
  char file[] = "/tmp/celslm-test-XXXXXX";
  FILE *f = fdopen(mkstemp(file), "w");
  fprintf(f, row, routing, more);
  fclose(f);
  celslm_platform *p = celslm_platform_load(file, NULL, err);
  unlink(file);
  return p;
}

static const char *const routings[] = {"Full", "Floyd", "Dijkstra", "DijkstraCache"};

START_TEST(test_simgrid_routings) {
  celslm_error err = {""};
  /* Full knows no way through b: the route is written out */
  const char *more = _i ? ""
                        : "<route src='c' dst='a'><link_ctn id='bc'/>"
                          "<link_ctn id='ab' direction='DOWN'/></route>";
  celslm_platform *p = load_row(routings[_i], more, &err);
  ck_assert_msg(p != NULL, "%s", err.text);
  start_simgrid(p);
  check_route("a", "c", 3e-3, 0.5e9);
  check_route("c", "a", 3e-3, 0.5e9);
  check_route("a", "b", 1e-3, 1e9);
  celslm_platform_free(p);
}
END_TEST

START_TEST(test_full_needs_all_pairs) {
  celslm_error err = {""};
  ck_assert_ptr_null(load_row("Full", "", &err));
  ck_assert_ptr_nonnull(strstr(err.text, ":1: host \"a\" has no route to \"c\"; every pair of "
                                         "hosts must be connected"));
  err.text[0] = 0; /* one way is not enough */
  ck_assert_ptr_null(load_row("Full",
                              "<route src='a' dst='c' symmetrical='NO'>"
                              "<link_ctn id='bc'/></route>",
                              &err));
  ck_assert_ptr_nonnull(strstr(err.text, "host \"c\" has no route to \"a\""));
}
END_TEST

/* Ten thousand hosts load in a time that shows no square in it. */
START_TEST(test_many_hosts) {
  char file[] = "/tmp/celslm-test-XXXXXX";
  FILE *f = fdopen(mkstemp(file), "w");
  fputs("<platform version='4.1'><zone id='z' routing='DijkstraCache'><router id='r'/>\n", f);
  for (int i = 0; i < 10000; i++)
    fprintf(f,
            "<host id='h%d' speed='1Gf'><prop id='celslm.role' value='device'/></host>"
            "<link id='l%d' bandwidth='1Gbps'/>"
            "<route src='h%d' dst='r'><link_ctn id='l%d'/></route>\n",
            i, i, i, i);
  fputs("</zone></platform>\n", f);
  fclose(f);
  celslm_error err = {""};
  celslm_platform *p = celslm_platform_load(file, NULL, &err);
  unlink(file);
  ck_assert_msg(p != NULL, "%s", err.text);
  ck_assert_int_eq(celslm_platform_host(p, "h9999"), 9999);
  start_simgrid(p);
  check_route("h0", "h9999", 0, 125e6);
  celslm_platform_free(p);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("platform");
  TCase *tests = tcase_create("platform");
  tcase_add_test(tests, test_structs);
  tcase_add_test(tests, test_simgrid_small);
  tcase_add_test(tests, test_simgrid_metro);
  tcase_add_loop_test(tests, test_simgrid_routings, 0, sizeof routings / sizeof *routings);
  tcase_add_test(tests, test_full_needs_all_pairs);
  tcase_add_test(tests, test_many_hosts);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
