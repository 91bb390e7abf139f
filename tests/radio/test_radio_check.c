/* test_radio_check.c - celslm radio check as its users meet it: what it prints, its exit status,
 * and one exact line for everything that is wrong with a file. */
#include "cmd/commands.h"
#include "net/radio/vectors.h"
#include "support.h"

#include <gsl/gsl_rng.h>

static char folder[] = "/tmp/celslm-radio-XXXXXX";

static void begin(void) {
  strcpy(folder, "/tmp/celslm-radio-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  ck_assert_int_eq(chdir(folder), 0);
}

static void end(void) {
  unlink("f.csv");
  ck_assert_int_eq(chdir("/"), 0);
  ck_assert_int_eq(rmdir(folder), 0);
}

static void write_file(const char *text, size_t size) {
  FILE *f = fopen("f.csv", "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(text, 1, size, f), size);
  fclose(f);
}

/* Runs the command in a process of its own; both of its streams come back as one text. */
static char *radio(const char *arguments, int *status) {
  char *words = celslm_strdup(arguments), *argv[8] = {"radio"};
  int argc = 1, ends[2];
  for (char *w = strtok(words, " "); w && argc < 7; w = strtok(NULL, " ")) argv[argc++] = w;
  ck_assert_int_eq(pipe(ends), 0);
  fflush(NULL);
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    close(ends[0]);
    int result = celslm_cmd_radio(argc, argv);
    fflush(NULL);
    _exit(result);
  }
  close(ends[1]);
  size_t size = 0, room = 1 << 20;
  char *out = celslm_alloc(1, room);
  ssize_t got;
  while ((got = read(ends[0], out + size, room - 1 - size)) > 0) size += (size_t)got;
  close(ends[0]);
  int s;
  waitpid(pid, &s, 0);
  *status = WIFEXITED(s) ? WEXITSTATUS(s) : 128 + WTERMSIG(s);
  free(words);
  return out;
}

static void expect(const char *arguments, int status, const char *text) {
  int found;
  char *out = radio(arguments, &found);
  ck_assert_str_eq(out, text);
  ck_assert_int_eq(found, status);
  free(out);
}

/* ---- arguments ------------------------------------------------------------------------------- */

START_TEST(test_arguments) {
  begin();
  expect("", 2,
         "celslm: radio does not know \"\"; try `celslm radio check FILE.csv` or `celslm radio "
         "SCENARIO.xml`\n");
  expect("chek", 2,
         "celslm: radio does not know \"chek\"; try `celslm radio check FILE.csv` or `celslm radio "
         "SCENARIO.xml`\n");
  expect("check", 2,
         "celslm: radio check needs a CSV file; `celslm radio --help` has an example\n");
  expect("check a b", 2, "celslm: one file at a time; \"b\" is a second one\n");
  expect("check --all a", 2,
         "celslm: radio has no option --all; `celslm radio --help` lists them\n");
  expect("check none.csv", 2,
         "none.csv: cannot be read: No such file or directory; give a CSV file\n");
  expect("check /tmp", 2, "/tmp: cannot be read: Is a directory; give a CSV file\n");
  end();
}
END_TEST

/* The example of the help is a good one. */
START_TEST(test_help) {
  begin();
  int status;
  char *help = radio("--help", &status);
  ck_assert_int_eq(status, 0);
  char *from = strstr(help, "  kind,scenario"), *to = from ? strstr(from, "\n\n") : NULL;
  ck_assert_ptr_nonnull(to);
  to[1] = 0;
  write_file(from, strlen(from));
  expect(
      "check f.csv --quiet", 0,
      "4 passed, 0 failed, 0 of unknown kinds: pathloss 2/2, los_prob 1/1, rain_attenuation 1/1\n");
  free(help);
  end();
}
END_TEST

/* ---- good files ------------------------------------------------------------------------------ */

#define HEADER "kind,scenario,state,fc_ghz,d2d_m,h_bs_m,h_ut_m,extra,expected,tol\n"

START_TEST(test_output) {
  begin();
  const char text[] = "id,kind,scenario,state,fc_ghz,d2d_m,h_bs_m,h_ut_m,extra,expected,unit,tol\n"
                      "a,pathloss,UMi,LOS,5,100,10,1.5,,88.4122,dB,0.05\n"
                      ",shadow_std,UMa,NLOS,,,,,,7,dB,0\n"
                      "b,weather,London,,,,,,,rain,,\n"
                      "c,weather,Paris,,x,,,,,,,\n";
  write_file(text, strlen(text));
  const char a[] = "a         pathloss                 UMi LOS                    computed      "
                   "88.4122  expected      88.4122 +- 0.05     pass\n";
  const char line_3[] =
      "line 3    shadow_std               UMa NLOS                   computed     "
      "       6  expected            7 +- 0        FAIL\n";
  const char b[] = "b         weather                  London                     unknown kind\n"
                   "c         weather                  Paris                      unknown kind\n";
  const char last[] = "1 passed, 1 failed, 2 of unknown kinds: pathloss 1/1, shadow_std 0/1, "
                      "unknown weather 2\n";
  char *all = celslm_format("%s%s%s%s", a, line_3, b, last);
  char *failed = celslm_format("%s%s", line_3, last);
  expect("check f.csv", 1, all);
  expect("check --failed f.csv", 1, failed);
  expect("check --quiet f.csv", 1, last);
  free(all), free(failed);
  end();
}
END_TEST

/* Each of these lines is the same row in other words: it passes. */
static const char *const same[] = {
    "pathloss,UMi,LOS,5,100,10,1.5,,88.4122,0.05",
    "\"pathloss\",\"UMi\",\"LOS\",\"5\",\"100\",\"10\",\"1.5\",\"\",\"88.4122\",\"0.05\"",
    "  pathloss , umi,los , 5,1e2,10.0,+1.5, ,8.84122e1,5e-2 ",
    "pathloss,UMi,LOS,5,100,,,,88.4122,0.05",
    "pathloss,UMi street canyon,LOS,5,100,10,1.5,\"note=say \"\"5 GHz\"\", ok\",88.4122,0.05\r",
    "pathloss,UMi,LOS,5,100,10,1.5,\"two\nlines\",88.4122,0.05",
    "pathloss,RMa,LOS,5,1000,35,1.5,h=5;W=20,108.5577,0.05",
    "pathloss,RMa,LOS,5,1000,35,1.5,\"W = 20 m, H = 5 m\",108.5577,0.05",
    "pathloss,RMa,LOS,5,1000,35,1.5,,108.5577,0.05",
    "pathloss,InF,LOS,3.5,12,8,1.5,,66.5808,0.02",
    "pathloss,InF,NLOS-SH,3.5,12,8,1.5,,69.3875,0.02",
    "pathloss,UMi,NLOS optional,10,100,10,10,,116.2,0.0001",
    "pathloss-ci,UMi,NLOS,28,50,,,,115.752,0.02",
    "pathloss-ci,InH,LOS,84,10,3,1,,85.9334,0.001",
    "pathloss-ci,RMa,LOS,28,100,70,1.5,,106.2049,0.001",
    "los_prob,InH-open,,,49,,1,,0.5371548,1e-6",
    "los_prob,InF-SL,,,30,,,d_clutter=10;r=20%,0.512,1e-9",
    "los_prob,InF-DH,,,30,8,1.5,dclutter=2;r=0.6;hc=6,7.37e-5,1e-6",
    "shadow_std,RMa,LOS,3.5,100,,,,4,0",
    "shadow_std,RMa,LOS,3.5,5000,,,,6,0",
    "shadow_std,SMa,LOS after breakpoint,,,,,,6,0",
    "shadow_std,UMa,O2I,,,,,,7,0",
    "shadow_std,InF,LOS,,,,,,4.3,0",
    "shadow_std,InF,NLOS DL,,,,,,7.2,0",
    "shadow_std,UMi,NLOS (optional),,,,,,8.2,0",
    "shadow_std,NYU-UMi,LOS,84,,,,,3.3,0",
    "decorr_distance,SMa,O2I,,,,,,50,0",
    "decorr_distance,InF,NLOS,,,,,,10,0",
    "los_state_corr_distance,InF-DL,,,,,,,1,0",
    "los_state_corr_distance,InF,,,,,,dclutter=10m,5,0",
    "rician_K_std,InF,,,,,,,8,0",
    "o2i_wall,low-A,,6,,,,,7.364,0.005",
    "o2i_wall,high-v16,,6,,,,,30.693,0.005",
    "gas_attenuation,P.676-13,oxygen,61,,,,,15.0072,1e-4",
    "oxygen_38901,,,53.5,,,,,1.6,0",
    "cqi_se,CQI table 3,1,,,,,,0.0586,0",
    "mcs_se,MCS table 1,28,,,,,,5.5547,0",
    "peak_rate,FR2 UL 400 MHz 120 kHz,,,,,,layers=2;Qm=6;NPRB=264,3547.6056,0.001",
    "peak_rate,FR1,,,,,,mu=1;layers=4;Qm=8;NPRB=273;OH=0.14,2337,0.5",
    "ue_proc_time,N1 cap2,mu=1,,,,,,0.1605469,1e-6",
};

START_TEST(test_good_rows) {
  begin();
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    char *text = celslm_format("\xef\xbb\xbf" HEADER "\n%s", same[i]); /* no newline at the end */
    write_file(text, strlen(text));
    int status;
    char *out = radio("check f.csv", &status);
    ck_assert_msg(status == 0, "%s\n%s", same[i], out);
    free(out), free(text);
  }
  end();
}
END_TEST

/* ---- bad rows and files ---------------------------------------------------------------------- */

static const struct {
  const char *row, *message; /* behind "f.csv:2: " */
} bad[] = {
    {"pathloss,UMi,LOS,5,100,10,1.5,,88.4", "9 fields; the first line has 10"},
    {"pathloss,UMi,LOS,5,100,10,1.5,,88.4,1,2", "11 fields; the first line has 10"},
    {",UMi,LOS,5,100,10,1.5,,88.4,1", "kind is empty; say what is checked"},
    {"pathloss,UMi,LOS,5,100,10,1.5,,,1", "expected is \"\"; give a finite decimal number"},
    {"pathloss,UMi,LOS,5,100,10,1.5,,nan,1", "expected is \"nan\"; give a finite decimal number"},
    {"pathloss,UMi,LOS,5,100,10,1.5,,1e999,1",
     "expected is \"1e999\"; give a finite decimal number"},
    {"pathloss,UMi,LOS,5,100,10,1.5,,0x50,1", "expected is \"0x50\"; give a finite decimal number"},
    {"pathloss,UMi,LOS,5,100,10,1.5,,88.4,-1",
     "tol is \"-1\"; give a finite decimal number, 0 or more"},
    {"pathloss,UMi,LOS,5,100,10,1.5,,88.4,",
     "tol is \"\"; give a finite decimal number, 0 or more"},
    {"pathloss,UMi,LOS,NaN,100,10,1.5,,88.4,1",
     "fc_ghz is \"NaN\"; give a finite decimal number, or leave it empty"},
    {"pathloss,UMi,LOS,5 GHz,100,10,1.5,,88.4,1",
     "fc_ghz is \"5 GHz\"; give a finite decimal number, or leave it empty"},
    {"pathloss,UMi,LOS,5,1e2e3,10,1.5,,88.4,1",
     "d2d_m is \"1e2e3\"; give a finite decimal number, or leave it empty"},
    {"pathloss,UMi,LOS,5,-100,10,1.5,,88.4,1", "d2d_m is -100; allowed is 0 to 1e+07"},
    {"pathloss,UMi,LOS,0,100,10,1.5,,88.4,1", "fc_ghz is 0; allowed is 0.001 to 1000"},
    {"pathloss,UMi,LOS,,100,10,1.5,,88.4,1", "pathloss needs fc_ghz; allowed is 0.001 to 1000"},
    {"pathloss,UMi,LOS,5,,10,1.5,,88.4,1", "pathloss needs d2d_m; allowed is 0 to 1e+07"},
    {"pathloss,UMi,LOS,5,100,-10,1.5,,88.4,1", "h_bs_m is -10; allowed is 0 to 100000"},
    {"pathloss,UMi,LOS,5,100,1,1,,88.4,1",
     "pathloss has no finite value here; check the distance and the heights"},
    {"pathloss,UMi,,5,100,10,1.5,,88.4,1", "pathloss needs a state; allowed are LOS, NLOS"},
    {"pathloss,UMi,O2I,5,100,10,1.5,,88.4,1", "pathloss needs a state; allowed are LOS, NLOS"},
    {"pathloss,UMi,maybe,5,100,10,1.5,,88.4,1", "state \"maybe\" is not known; allowed are LOS, "
                                                "NLOS, O2I, with \"before BP\", \"beyond BP\" or "
                                                "\"optional\""},
    {"pathloss,Moon,LOS,5,100,10,1.5,,88.4,1",
     "scenario \"Moon\" has no model for pathloss; allowed are UMi, UMa, RMa, SMa, InH, InH-open, "
     "InF-SL, InF-DL, InF-SH, InF-DH, InF-HH and NYU-UMi, -UMa, -RMa, -InH, -InF"},
    {"pathloss,RMa,LOS,5,100,35,1.5,h=tall,88.4,1", "h of extra is \"tall\"; give a number"},
    {"pathloss,RMa,LOS,5,100,35,1.5,W=-3,88.4,1", "W of extra is -3; allowed is 0 to 1000"},
    {"los_prob,InF-SL,,,30,,,r=1.5,1,1", "r of extra is 1.5; allowed is 0 to 0.999999"},
    {"shadow_std,InH,O2I,,,,,,1,1", "shadow_std of InH has no state O2I"},
    {"shadow_std,RMa,LOS,,,,,,1,1",
     "shadow_std of RMa needs d2d_m and fc_ghz, or \"before BP\" or \"beyond BP\" as its state"},
    {"rician_K_mean,UMi,NLOS,,,,,,1,1", "rician_K_mean of UMi has no state NLOS"},
    {"o2i_wall,paper,,6,,,,,1,1",
     "scenario \"paper\" is no wall; allowed are low, high, high-v19, low-A, legacy, NYU-low, "
     "NYU-high"},
    {"gas_attenuation,P.676-13,,400,,,,,1,1", "fc_ghz is 400; allowed is 1 to 349"},
    {"gas_attenuation,P.676-13,,40,,,,T=300K,1,1", "T of extra is 300; allowed is 288 to 288.3"},
    {"rain_attenuation,P.838-3,,40,,,,el=3,1,1",
     "rain_attenuation needs R= in extra; allowed is 0 to 10000"},
    {"cqi_se,CQI table 4,1,,,,,,1,1",
     "scenario \"CQI table 4\" names no table; allowed are table 1 to table 3"},
    {"cqi_se,CQI table 1,16,,,,,,1,1", "state is \"16\"; allowed are the indices 1 to 15"},
    {"mcs_se,MCS table 2,28,,,,,,1,1", "state is \"28\"; allowed are the indices 0 to 27"},
    {"mcs_se,MCS table 2,1.5,,,,,,1,1", "state is \"1.5\"; allowed are the indices 0 to 27"},
    {"peak_rate,FR1 DL 25 kHz,,,,,,layers=4;Qm=8;NPRB=273,1,1",
     "scenario \"FR1 DL 25 kHz\" has no subcarriers of 15 kHz times a power of 2; allowed are 15 "
     "kHz "
     "to 960 kHz"},
    {"peak_rate,FR1 DL 30 kHz,,,,,,Qm=8;NPRB=273,1,1",
     "peak_rate needs layers= in extra; allowed is 1 to 64"},
    {"ue_proc_time,N1 cap1,mu=9,,,,,,1,1", "state is \"mu=9\"; allowed are mu=0 to mu=6"},
    {"ue_proc_time,N1 cap2,mu=3,,,,,,1,1", "ue_proc_time needs N= in extra; allowed is 0 to 1000"},
    {"pathloss,\"UMi,LOS,5,100,10,1.5,,88.4,1", "a quoted field does not end; close it with \""},
    {"pathloss,\"UMi\" x,LOS,5,100,10,1.5,,88.4,1",
     "text follows a closing quote; a quote inside a quoted field is written \"\""},
};

START_TEST(test_bad_rows) {
  begin();
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *text = celslm_format(HEADER "%s\n", bad[i].row);
    char *message = celslm_format("f.csv:2: %s\n", bad[i].message);
    write_file(text, strlen(text));
    expect("check f.csv", 2, message);
    free(text), free(message);
  }
  end();
}
END_TEST

START_TEST(test_bad_files) {
  static const struct {
    const char *text;
    size_t size;
    const char *message;
  } files[] = {
#define FILE_OF(TEXT) TEXT, sizeof TEXT - 1
      {FILE_OF(""), "f.csv: empty; give a CSV file with a first line of names\n"},
      {FILE_OF(HEADER), "f.csv: no rows below the first line; give at least one\n"},
      {FILE_OF(HEADER "pathloss\0\n"), "f.csv: holds a zero byte; give a text file\n"},
      {FILE_OF("kind,scenario,state,fc_ghz,d2d_m,h_bs_m,h_ut_m,extra,expected\n"),
       "f.csv:1: no column is called tol; needed are kind, scenario, state, fc_ghz, d2d_m, h_bs_m, "
       "h_ut_m, extra, expected, tol\n"},
      {FILE_OF("kind,kind,scenario,state,fc_ghz,d2d_m,h_bs_m,h_ut_m,extra,expected,tol\n"),
       "f.csv:1: two columns are called kind\n"},
      {FILE_OF("kind,scenario,state,fc_ghz,d2d_m,h_bs_m,h_ut_m,extra,expected,tol,unit\n"
               "ue_proc_time,N1 cap1,mu=1,,,,,,357,1,us\n"),
       "f.csv:2: unit is \"us\"; ue_proc_time is in ms\n"},
      {FILE_OF(HEADER "\n\"weather\n\",,,,,,,,,\n\npathloss,UMi,LOS,5,100,10,1.5,,x,1\n"),
       "f.csv:6: expected is \"x\"; give a finite decimal number\n"},
      {FILE_OF(",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\n"),
       "f.csv:1: more than 64 fields in a row\n"},
  };
  begin();
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    write_file(files[i].text, files[i].size);
    expect("check f.csv", 2, files[i].message);
  }
  end();
}
END_TEST

/* Whatever the bytes: an exit status of 0 to 2, and one line if it is 2. */
START_TEST(test_mutations) {
  begin();
  FILE *f = fopen(CELSLM_TEST_DATA "/radio/vectors.csv", "rb");
  ck_assert_ptr_nonnull(f);
  static char whole[1 << 17];
  size_t size = fread(whole, 1, sizeof whole, f);
  fclose(f);
  gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
  static const char alphabet[] = "\",;\n\r=-+.eE019nNaA \0\xff\xc3";
  for (int round = 0; round < 300; round++) {
    static char mutated[1 << 17];
    memcpy(mutated, whole, size);
    for (int k = 0; k < 1 + round % 5; k++)
      mutated[gsl_rng_uniform_int(r, size)] = alphabet[gsl_rng_uniform_int(r, sizeof alphabet - 1)];
    write_file(mutated, round % 7 ? size : (size_t)gsl_rng_uniform_int(r, size));
    int status;
    char *out = radio("check --quiet f.csv", &status);
    ck_assert_msg(status <= 2, "round %d: status %d: %s", round, status, out);
    ck_assert_msg(strchr(out, '\n') == out + strlen(out) - 1, "round %d: %s", round, out);
    free(out);
  }
  gsl_rng_free(r);
  end();
}
END_TEST

RUN_SUITE("radio_check", test_arguments, test_help, test_output, test_good_rows, test_bad_rows,
          test_bad_files, test_mutations)
