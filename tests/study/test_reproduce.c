/* test_reproduce.c - analysis/: studies opened and drawn, wrong files told apart, and two figures
 * of analysis/reproduce from the first command to the page, which a real browser shows whole.
 * Skipped, with a message, where Debian's python3-h5py, -pandas and -matplotlib are not installed.
 */
#include "program.h"

static bool python(void) {
  int status;
  free(sh("/usr/bin/python3 -c 'import h5py, pandas, matplotlib'", &status));
  if (status != 0) printf("skipped: /usr/bin/python3 lacks h5py, pandas or matplotlib\n");
  setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
  setenv("MPLCONFIGDIR", folder, 1);
  return status == 0;
}

/* estimate() against numpy; axes in SI units; requests of a study. */
START_TEST(test_study) {
  begin();
  if (python()) {
    sh_well("$celslm sweep $data/cmd/tiny.xml --axis '//poisson/@rate=5/s 20/s' --axis "
            "'platform://link[@id=\"wan\"]/@bandwidth=100Mbps 1Gbps' --replications 4 --requests "
            "-o s.h5 --quiet");
    sh_well(
        "cat >check.py <<'END'\n"
        "import sys, os\n"
        "sys.path.insert(0, os.environ['ANALYSIS'])\n"
        "import numpy as np, h5py, celslm_results\n"
        "s = celslm_results.open('s.h5')\n"
        "assert s.strategies == ['cloud-only', 'ce-lslm'] and s.shape == (2, 2, 4, 2)\n"
        "assert list(s.axes['bandwidth']) == [12.5e6, 125e6] and s.unit('bandwidth') == 'B/s'\n"
        "assert list(s.axes['replication']) == [1, 2, 3, 4]\n"
        "raw = h5py.File('s.h5')['summary/ttft_mean'][1, 0, :, 1]\n"
        "e = s.estimate('ttft_mean')\n"
        "row = e[(e.rate == 20) & (e.bandwidth == 12.5e6) & (e.strategy == 'ce-lslm')].iloc[0]\n"
        "half = 3.18245 * raw.std(ddof=1) / 2\n"
        "assert abs(row['mean'] - raw.mean()) < 1e-12 and row['n'] == 4\n"
        "assert abs(row['high'] - row['mean'] - half) < 1e-4 * half\n"
        "low, high = (h5py.File('s.h5')['summary/ttft_mean'][0, 1, :, k] for k in (0, 1))\n"
        "gap, half = high - low, 3.18245 * (high - low).std(ddof=1) / 2\n"
        "p = s.paired('ttft_mean', 'cloud-only')\n"
        "row = p[(p.rate == 5) & (p.bandwidth == 125e6)].iloc[0]\n"
        "assert len(p) == 4 and row.strategy == 'ce-lslm' and row.n == 4\n"
        "assert abs(row['mean'] - gap.mean()) < 1e-12 and row.below == (gap < 0).sum()\n"
        "assert abs(row.low - gap.mean() + half) < 1e-4 * half\n"
        "f = s.summary()\n"
        "assert len(f) == 32 and f.attrs['units']['ttft_mean'] == 's'\n"
        "r = s.table('requests')\n"
        "assert len(r) == 16 * 2 * 20\n"
        "mean = r[(r.point == 8) & (r.strategy == 'ce-lslm')].ttft.mean()\n"
        "assert abs(mean - raw[0]) < 1e-12, (mean, raw)\n"
        "assert (s.points().status == 0).all()\n"
        "END\n"
        "ANALYSIS=$source/analysis /usr/bin/python3 check.py");
    sh_well("/usr/bin/python3 $source/analysis/plot.py s.h5 -o a.pdf && /usr/bin/python3 "
            "$source/analysis/plot.py s.h5 -o a.png && /usr/bin/python3 $source/analysis/plot.py "
            "s.h5 -o b.png && cmp a.png b.png && head -c 4 a.pdf | grep -q %PDF");
    char *out = sh_expect("/usr/bin/python3 $source/analysis/paired.py s.h5", 0);
    ck_assert_msg(strstr(out, "minus that of \"cloud-only\", 4 pairs\n\nrate 5/s, bandwidth 100 "
                              "Mb/s: cloud-only ") != NULL,
                  "%s", out);
    free(out);
  }
  end();
}
END_TEST

static const char *const bad[][2] = {
    {"cut.h5", "cut.h5: is cut short or damaged: "},
    {"newer.h5", "newer.h5: is of format version 7; this program reads version 1\n"},
    {"text.h5", "text.h5: is not an HDF5 file; give a results file\n"},
    {"none.h5", "none.h5: no point has a value of throughput: no requests were completed, or all "
                "points failed\n"},
    {"flat.h5", "flat.h5: no axis of numbers with more than one value; there is nothing to draw "
                "along\n"},
    {"good.h5 --column tea", "good.h5: the summary has no column \"tea\"; there are "},
    {"good.h5 --along tea", "good.h5: there is no axis \"tea\" of numbers; there are rate\n"},
};

static const char *const bad_pairs[][2] = {
    {"flat.h5", "flat.h5: has one replication; there are no intervals (celslm sweep "},
    {"good.h5 --against tea",
     "good.h5: there is no strategy \"tea\"; there are cloud-only, ce-lslm\n"},
    {"good.h5 --column tea", "good.h5: the summary has no column \"tea\"; there are "},
    {"run.h5", "run.h5: is one run, not a study; make one with celslm sweep --replications N\n"},
};

/* It ends with status 2, and its output is one line that begins with this. */
static void refuses(const char *script, const char *arguments, const char *says) {
  char *command = celslm_format("/usr/bin/python3 $source/analysis/%s %s", script, arguments),
       *out = sh_expect(command, 2);
  ck_assert_msg(strncmp(out, says, strlen(says)) == 0, "%s: %s", arguments, out);
  ck_assert_msg(strchr(out, '\n') == out + strlen(out) - 1, "%s: %s", arguments, out);
  free(out), free(command);
}

START_TEST(test_bad_files) {
  begin();
  if (python()) {
    sh_well("$celslm sweep $data/cmd/tiny.xml --axis '//poisson/@rate=5/s 20/s' -o good.h5 --quiet"
            " && $celslm sweep $data/cmd/tiny.xml -o flat.h5 --quiet"
            " && sed 's/seed=\"1\"/seed=\"1\" horizon=\"1us\"/; s#\"\\.\\./#\"'$data'/#g' "
            "$data/cmd/tiny.xml >none.xml && $celslm sweep none.xml --axis "
            "'//poisson/@rate=5/s 20/s' -o none.h5 --quiet"
            " && head -c 9000 good.h5 >cut.h5 && echo tea >text.h5 && cp good.h5 newer.h5 && "
            "/usr/bin/python3 -c 'import h5py; h5py.File(\"newer.h5\", "
            "\"r+\").attrs[\"format_version\"] = 7'");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refuses("plot.py", bad[i][0], bad[i][1]);
    sh_well("$celslm run $data/cmd/tiny.xml -o run.h5 --quiet");
    for (size_t i = 0; i < sizeof bad_pairs / sizeof *bad_pairs; i++)
      refuses("paired.py", bad_pairs[i][0], bad_pairs[i][1]);
  }
  end();
}
END_TEST

START_TEST(test_reproduce) {
  begin();
  if (python()) {
    char *out = sh_expect("$source/analysis/reproduce --quick --only E8b --only S5 --celslm "
                          "$celslm -o out",
                          0);
    ck_assert_msg(strstr(out, "E8b  holds") && strstr(out, "S5  holds") && !strstr(out, "FAILS"),
                  "%s", out);
    free(out);
    out = sh_expect("cd out && ls *.png *.pdf | tr '\\n' ' '", 0);
    ck_assert_str_eq(out, "E8b.pdf E8b.png S5.pdf S5.png ");
    free(out);
    for (int wide = 0; wide < 2; wide++) {
      char *command = celslm_format("LOOK=$source/tests/study/look; cd out && sh $LOOK index.html "
                                    "%d",
                                    wide ? 1280 : 390),
           *expected = celslm_format("%d wide, over by 0, broken 0\n0\n", wide ? 1280 : 390);
      int status;
      out = sh(command, &status);
      if (status == 3)
        printf("skipped: %s", out);
      else
        ck_assert_str_eq(out, expected);
      free(command), free(expected), free(out);
    }
  }
  end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("reproduce");
  TCase *tcase = tcase_create("reproduce");
  tcase_set_timeout(tcase, 400);
  tcase_add_test(tcase, test_study);
  tcase_add_test(tcase, test_bad_files);
  tcase_add_test(tcase, test_reproduce);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
