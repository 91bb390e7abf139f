/* test_report.c - the page of `celslm report` in a real browser, as wide as a desk and as a phone:
 * nothing runs out of the page, nothing is fetched, the console stays silent; and the trace of
 * `celslm run --trace` as JSON with slices that begin before they end. The browser's part is
 * skipped, with a message, where there is no chromium-headless-shell. */
#include "study/program.h"

static void looks_well(const char *page) {
  for (int wide = 0; wide < 2; wide++) {
    int status, width = wide ? 1280 : 390;
    char *command = celslm_format("sh $source/tests/study/look %s %d", page, width),
         *expected = celslm_format("%d wide, over by 0, broken 0\n0\n", width),
         *out = sh(command, &status);
    if (status == 3)
      printf("skipped: %s", out);
    else
      ck_assert_str_eq(out, expected);
    free(command), free(expected), free(out);
  }
}

START_TEST(test_page) {
  begin();
  sh_well("$celslm run $data/cmd/whole.xml -o r.h5 --quiet && $celslm report r.h5");
  sh_well("! grep -E '<[a-z]+ [^&>]*(src=|href=\"[^d])|@import|url\\(http' r.html"); /* nothing to
                                                                                        fetch */
  char *out = sh_expect("grep -c '<svg' r.html; grep -o 'Summary\\|Latency\\|made of\\|busy when\\|"
                        "slowest requests\\|Provenance' r.html | sort -u | wc -l",
                        0);
  ck_assert_str_eq(out, "7\n6\n"); /* 3 distributions, the breakdown, 3 timelines */
  free(out);
  looks_well("r.html");
  sh_well("$celslm report r.h5 -o again.html && cmp r.html again.html");
  end();
}
END_TEST

/* Names that mean something in HTML stay text; nobody completed; nothing in the timeline. */
START_TEST(test_odd_pages) {
  begin();
  sh_well("$celslm run $data/cmd/whole.xml --set \"/scenario/@name=<b>&amp; a "
          "name.that.is.as.long.as.a.name.can.reasonably.be.expected.to.become.one.day\" --set "
          "//results/@timeline_to=0s -o r.h5 --quiet && $celslm report r.h5 && grep -q "
          "'&lt;b&gt;' r.html && grep -q 'Nothing was recorded' r.html");
  looks_well("r.html");
  sh_well(
      "sed 's/seed=\"1\"/seed=\"1\" horizon=\"1us\"/; s#\"\\.\\./#\"'$data'/#g' "
      "$data/cmd/whole.xml >none.xml; $celslm run none.xml -o none.h5 --quiet && $celslm report "
      "none.h5 && grep -q 'there is nothing to draw' none.html");
  end();
}
END_TEST

static const char *const bad[][2] = {
    {"report", "celslm: report needs a results file\n"},
    {"report nothing.h5", "nothing.h5: cannot be read: No such file or directory\n"},
    {"report r.h5 -o no/x.html", "no/x.html: cannot be written: No such file or directory\n"},
    {"report cut.h5", NULL},
    {"report study.h5",
     "study.h5: is a study of many runs, not one run; analysis/plot.py draws it, and "
     "analysis/celslm_results.py opens it\n"},
};

START_TEST(test_bad) {
  begin();
  sh_well("$celslm run $data/cmd/tiny.xml -o r.h5 --quiet && head -c 3000 r.h5 >cut.h5 && "
          "$celslm sweep $data/cmd/tiny.xml -o study.h5 --quiet");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *command = celslm_format("$celslm %s", bad[i][0]), *out = sh_expect(command, 2);
    if (bad[i][1]) ck_assert_str_eq(out, bad[i][1]);
    ck_assert_msg(strchr(out, '\n') == out + strlen(out) - 1, "%s: %s", command, out);
    free(command), free(out);
  }
  sh_well("! ls *.html *.part 2>/dev/null");
  end();
}
END_TEST

START_TEST(test_trace) {
  begin();
  sh_well("$celslm run $data/cmd/tiny.xml -o r.h5 --trace t.json --quiet");
  sh_well("cat >check.py <<'END'\n"
          "import json, collections\n"
          "events = json.load(open('t.json'))['traceEvents']\n"
          "open_slices, requests, last = {}, 0, collections.defaultdict(float)\n"
          "for e in events:\n"
          "    if e['ph'] == 'X':\n"
          "        assert e['dur'] >= 0 and e['ts'] >= last[e['pid'], e['tid']] - 0.002, e\n"
          "        last[e['pid'], e['tid']] = e['ts'] + e['dur']\n"
          "    if e['ph'] == 'b':\n"
          "        open_slices[e['pid'], e['id'], e['cat']] = e['ts']\n"
          "        requests += e['cat'] == 'requests'\n"
          "    if e['ph'] == 'e':\n"
          "        assert open_slices.pop((e['pid'], e['id'], e['cat'])) <= e['ts']\n"
          "assert not open_slices and requests == 40, requests\n"
          "names = {e['args']['name'] for e in events if e['name'] == 'process_name'}\n"
          "assert names == {'cloud-only', 'ce-lslm'}, names\n"
          "END\n"
          "/usr/bin/python3 check.py");
  end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("report");
  TCase *tcase = tcase_create("report");
  tcase_set_timeout(tcase, 240);
  tcase_add_test(tcase, test_page);
  tcase_add_test(tcase, test_odd_pages);
  tcase_add_test(tcase, test_bad);
  tcase_add_test(tcase, test_trace);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
