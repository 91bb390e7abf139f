/* test_profile_check.c - celslm profile check: rates by hand arithmetic on a device without
 * overheads; what the columns and notes mean; which profile a row takes; the printed medians; bad
 * rows. With outside data: the medians over rows that no profile was fitted to. */
#include "profile_support.h"

#include "cost/curves.h"
#include "cost/rates.h"
#include "cost/rows_fit.h"

#include <math.h>

#define HEADER                                                                                     \
  "device,count,TP,model,params,dtype,prompt_tokens,output_tokens,concurrency,ttft_ms,itl_ms,"     \
  "prefill_tok_s,decode_tok_s,power_w,source,engine,table_id,note\n"

/* Memory-bound at any decode, compute-bound at any prefill, and nothing else costs. */
static const char plain[] =
    "<profile name=\"Plain\" device=\"RTX 4090 24GB\" runtime=\"llama.cpp\" "
    "family=\"nvidia-consumer\">"
    "<peak dtype=\"f16\" rate=\"100Tf\" source=\"t\"/>"
    "<memory size=\"24GB\" source=\"t\"/><bandwidth rate=\"1TBps\" source=\"t\"/>"
    "<power idle=\"50W\" max=\"450W\" memory_share=\"0.5\" compute_share=\"0\" source=\"t\"/>"
    "<overhead kind=\"step\" time=\"0s\" source=\"t\"/><overhead kind=\"layer\" time=\"0s\" "
    "source=\"t\"/>"
    "<overhead kind=\"sequence\" time=\"0s\" source=\"t\"/>"
    "<curves dtype=\"f16\">"
    "<curve kind=\"gemm\" flop_rate=\"100Tf\" half_rows=\"0\" byte_rate=\"1TBps\" latency=\"0s\" "
    "source=\"t\"/>"
    "<curve kind=\"prefill-attention\" flop_rate=\"100Tf\" half_rows=\"0\" byte_rate=\"1TBps\" "
    "latency=\"0s\" source=\"t\"/>"
    "<curve kind=\"decode-attention\" flop_rate=\"100Tf\" half_rows=\"0\" byte_rate=\"1TBps\" "
    "latency=\"0s\" source=\"t\"/>"
    "<curve kind=\"elementwise\" flop_rate=\"100Tf\" half_rows=\"0\" byte_rate=\"1TBps\" "
    "latency=\"0s\" source=\"t\"/>"
    "</curves>"
    "<format name=\"q4_k_m\" bits=\"4\" head_bits=\"8\" byte_share=\"0.5\" flop_share=\"1\" "
    "source=\"t\"/>"
    "</profile>";

/* Llama-2-7B: 32 layers of width 4096, 32 heads of 128, FFN 11008, vocabulary 32000. */
static const double linear = 32.0 * (4.0 * 4096 * 4096 + 3.0 * 4096 * 11008);
static const double head = 4096.0 * 32000, kv_token = 2.0 * 32 * 32 * 128 * 2;

typedef struct fixture {
  char *folder, *profile, *rows;
} fixture;

static fixture begin(const char *rows) {
  fixture f = {.folder = make_folder()};
  f.profile = celslm_format("%s/plain.xml", f.folder);
  f.rows = celslm_format("%s/rows.csv", f.folder);
  write_file(f.profile, plain);
  write_file(f.rows, rows);
  return f;
}

static void end(fixture f) {
  free(f.profile);
  free(f.rows);
  remove_folder(f.folder);
}

static celslm_rates predict(const char *row) {
  char *text = celslm_format("%s%s\n", HEADER, row);
  fixture f = begin(text);
  celslm_error err = {""};
  celslm_rows *rows = celslm_rows_open(f.rows, &err);
  celslm_devices *d = rows ? celslm_devices_open(NULL, f.profile, &err) : NULL;
  ck_assert_msg(d && rows->n == 1, "%s", err.text);
  celslm_match_level level;
  const celslm_profile *original;
  const celslm_profile *p =
      celslm_devices_match(d, rows->at[0].device, rows->at[0].engine, &level, &original);
  celslm_model model;
  celslm_rates r;
  ck_assert_int_eq(level, CELSLM_MATCH_GIVEN);
  ck_assert(celslm_devices_model(d, rows->at[0].model, rows->at[0].params, &model));
  ck_assert_msg(celslm_rates_predict(p, &rows->at[0], &model, &r, &err), "%s", err.text);
  celslm_devices_close(d);
  celslm_rows_close(rows);
  end(f);
  free(text);
  return r;
}

static void check_near(double a, double b, double tolerance) {
  ck_assert_msg(fabs(a / b - 1) < tolerance, "%g, by hand %g", a, b);
}

/* Time of a decode step by hand: bytes over bandwidth; activations are less than 0.5 %. */
static double step(double batch, double context, double weight_bytes) {
  return (weight_bytes + batch * context * kv_token) / 1e12;
}

START_TEST(test_decode) {
  const double f16 = 2 * (linear + head);
  /* a prompt of 1000, then 200 tokens: the middle of the output stands for all */
  celslm_rates r = predict("X,1,1,Llama-2-7B,,f16,1000,200,1,,,,50,,,e,t,");
  check_near(r.decode, 1 / step(1, 1100, f16), 0.005);
  ck_assert(isnan(r.prefill));
  ck_assert_double_eq(r.context, 1100);
  /* llama-bench: from an empty context, also where a prompt is given */
  r = predict("X,1,1,Llama-2-7B,,f16,512,512,1,,,,50,,,e,t,llama-bench: tg512");
  check_near(r.decode, 1 / step(1, 256, f16), 0.005);
  ck_assert_double_eq(r.context, 256);
  /* a batch reads the weights once */
  r = predict("X,1,1,Llama-2-7B,,f16,100,100,8,,,,50,,,e,t,");
  check_near(r.decode, 8 / step(8, 150, f16), 0.01);
  /* a format of its own: bits, those of the head, and half of the bandwidth for the weights */
  r = predict("X,1,1,Llama-2-7B,,q4_k_m,,,1,,,,50,,,e,t,");
  check_near(r.decode, 1 / (2 * (linear / 2 + head) / 1e12 + 64 * kv_token / 1e12), 0.005);
  /* another format takes the shares of the nearest one and its own bits: 8.5 */
  r = predict("X,1,1,Llama-2-7B,,q5_0,,,1,,,,50,,,e,t,");
  check_near(r.decode, 1 / (2 * (linear * 5.5 + head * 6.56) / 8 / 1e12 + 64 * kv_token / 1e12),
             0.005);
  /* a layer split over devices is no faster */
  celslm_rates two = predict("X,2,1,Llama-2-7B,,q5_0,,,1,,,,50,,,e,t,");
  ck_assert_double_eq(two.decode, r.decode);
}
END_TEST

START_TEST(test_prefill) {
  const double n = 1000;
  double flops = 2 * n * linear + 2 * head + 32 * 4.0 * 32 * 128 * n * (n + 1) / 2;
  celslm_rates r = predict("X,1,1,Llama-2-7B,,f16,1000,1,1,50,,9000,,,,e,t,");
  check_near(r.prefill, n / (flops / 1e14), 0.02); /* norms and the head's weights come on top */
  /* four prompts at once: four times the tokens in about four times the time */
  celslm_rates four = predict("X,1,1,Llama-2-7B,,f16,1000,1,4,50,,9000,,,,e,t,");
  check_near(four.prefill, r.prefill, 0.02);
}
END_TEST

START_TEST(test_kinds) {
  const double f16 = 2 * (linear + head);
  double s = step(4, 1100, f16),
         p = 1000 / predict("X,1,1,Llama-2-7B,,f16,1000,1,4,,,9,,,,e,t,").prefill;
  /* prefill included: all prompts, then all outputs */
  celslm_rates r = predict("X,1,1,Llama-2-7B,,f16,1000,200,4,,,,50,,,e,t,prefill included");
  check_near(r.decode, 4 * 200 / (4 * p + 200 * s), 0.01);
  r = predict("X,1,1,Llama-2-7B,,f16,1000,200,4,,,,50,,,e,t,closed loop concurrency");
  check_near(r.decode, 4 * 200 / (4 * p + 200 * s), 0.01);
  r = predict("X,1,1,Llama-2-7B,,f16,1000,200,4,,,,50,,,e,t,measured TTFT/TPOT");
  check_near(r.decode, 4 / (s + 3 * p / 200), 0.01);
  /* told by the row's own times: 4 * 200 / (1 + 199 * 0.02) is 160.6, 4/0.02 is 200 */
  r = predict("X,1,1,Llama-2-7B,,f16,1000,200,4,1000,20,,161,,,e,t,");
  check_near(r.decode, 4 * 200 / (4 * p + 200 * s), 0.01);
  r = predict("X,1,1,Llama-2-7B,,f16,1000,200,4,1000,20,,199,,,e,t,");
  check_near(r.decode, 4 / s, 0.01);
  /* saturated: as many as the memory holds, 0.9 * 24 GB less weights */
  r = predict("X,1,1,Llama-2-7B,,f16,1000,200,max,,,,50,,,e,t,");
  double held = (0.9 * 24e9 - 2 * (linear + 2 * head)) / (kv_token * (1000 + 0.75 * 200));
  check_near(r.batch, held, 0.001);
  /* half of the power span goes with memory: nearly all bandwidth is in use */
  check_near(predict("X,1,1,Llama-2-7B,,f16,0,2,1,,,,50,,,e,t,").power, 50 + 0.5 * 400, 0.02);
}
END_TEST

START_TEST(test_formats) {
  static const struct {
    const char *name;
    double bits, head;
  } cases[] = {{"f16", 16, 16},         {"bfloat16", 16, 16},   {"fp8", 8, 16},
               {"q4_k_m", 4.85, 6.56},  {"Q4_0", 4.5, 6.56},    {"q8_0", 8.5, 8.5},
               {"int8", 8, 8},          {"awq-int4", 4.25, 16}, {"gptq-4bit-g128", 4.25, 16},
               {"exl2-2.5bpw", 2.5, 6}, {"w4a16", 4, 8},        {"4bit", 4.5, 4.5},
               {"mlx-4bit", 4.5, 4.5}};
  double bits, head_bits;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ck_assert_msg(celslm_format_bits(cases[i].name, &bits, &head_bits), "%s", cases[i].name);
    ck_assert_msg(bits == cases[i].bits && head_bits == cases[i].head, "%s: %g, %g", cases[i].name,
                  bits, head_bits);
  }
  ck_assert(!celslm_format_bits("ternary", &bits, &head_bits));
}
END_TEST

/* Which of the shipped profiles, and how far it is scaled. */
START_TEST(test_match) {
  static const struct {
    const char *device, *engine, *profile;
    celslm_match_level level;
  } cases[] = {
      {"RTX 4090 24GB", "llama.cpp (May 2024)", "RTX-4090-llama.cpp", CELSLM_MATCH_DEVICE},
      {"GeForce RTX 4090", "vLLM 0.19.0", "RTX-4090", CELSLM_MATCH_DEVICE},
      {"A100-40GB-SXM", "vLLM", "A100-80GB", CELSLM_MATCH_FAMILY},
      {"A100-80GB-SXM", "TensorRT-LLM v0.5", "A100-80GB-TensorRT-LLM", CELSLM_MATCH_DEVICE},
      {"Raspberry Pi 5", "ollama", "Raspberry-Pi-5", CELSLM_MATCH_DEVICE},
      {"Raspberry Pi 500+", "ollama/llama.cpp", "Raspberry-Pi-5", CELSLM_MATCH_FAMILY},
      {"Jetson Orin Nano 8GB (15W)", "MLC", "Jetson-Orin-Nano", CELSLM_MATCH_DEVICE},
      {"Snapdragon 8 Gen 3 (OnePlus 12, CPU)", "ExecuTorch XNNPACK", "Snapdragon-8-Gen-3",
       CELSLM_MATCH_DEVICE},
      {"Apple M2 Max", "llama.cpp Metal", "Apple-M3-Max", CELSLM_MATCH_FAMILY},
      {"L4", "vLLM", "RTX-4090", CELSLM_MATCH_FAMILY},
      {"RTX 4090 24GB", "my own engine", NULL, CELSLM_MATCH_NONE},
      {"Abacus", "llama.cpp", NULL, CELSLM_MATCH_NONE},
  };
  celslm_error err = {""};
  char *folder = celslm_format("%s/platforms/profiles", CELSLM_SOURCE_DIR);
  celslm_devices *d = celslm_devices_open(folder, NULL, &err);
  ck_assert_msg(d != NULL, "%s", err.text);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    celslm_match_level level;
    const celslm_profile *original, *p;
    p = celslm_devices_match(d, cases[i].device, cases[i].engine, &level, &original);
    ck_assert_msg(level == cases[i].level, "%s: %s", cases[i].device, celslm_match_name(level));
    ck_assert((p != NULL) == (cases[i].profile != NULL));
    if (!p) continue;
    ck_assert_msg(strcmp(original->name, cases[i].profile) == 0, "%s: %s", cases[i].device,
                  original->name);
    const celslm_datasheet *s = celslm_devices_find(d, cases[i].device);
    if (level == CELSLM_MATCH_FAMILY) check_near(p->bandwidth, s->bandwidth, 1e-9);
    ck_assert_ptr_eq(celslm_devices_match(d, cases[i].device, cases[i].engine, &level, &original),
                     p);
  }
  celslm_model m;
  ck_assert(celslm_devices_model(d, "DeepSeek-R1-14B", NAN, &m));
  ck_assert_str_eq(m.name, "Qwen2.5-14B");
  ck_assert(celslm_devices_model(d, "Unheard-of-9B", 9e9, &m));
  ck_assert(!celslm_devices_model(d, "Unheard-of", NAN, &m));
  celslm_devices_close(d);
  free(folder);
}
END_TEST

/* Errors of +10 %, -20 %, +50 % and one row that nothing can be said of. */
START_TEST(test_medians) {
  double right =
      predict("RTX 4090 24GB,1,1,Llama-2-7B,,f16,1000,200,1,,,,50,,,llama.cpp,t,").decode;
  char *rows = celslm_format(
      HEADER "RTX 4090 24GB,1,1,Llama-2-7B,,f16,1000,200,1,,,,%.9g,,,llama.cpp,t,\n"
             "RTX 4090 24GB,1,1,Llama-2-7B,,f16,1000,200,1,,,,%.9g,,,llama.cpp,t,\n"
             "RTX 4090 24GB,1,1,Llama-2-7B,,f16,1000,200,1,,,,%.9g,,,llama.cpp,t,\n"
             "RTX 4090 24GB,1,1,Llama-2-7B,,ternary,1000,200,1,,,,50,,,llama.cpp,t,\n",
      right / 1.1, right / 0.8, right / 1.5);
  fixture f = begin(rows);
  char *arguments[] = {"profile", "check", "--against", f.rows, "--profile", f.profile, NULL, NULL};
  output o = run_profile(f.folder, arguments);
  ck_assert_msg(o.status == 0, "%s", o.err);
  ck_assert_ptr_nonnull(strstr(o.out, "+10.0%"));
  ck_assert_ptr_nonnull(strstr(o.out, "-20.0%"));
  ck_assert_ptr_nonnull(strstr(o.out, "no match: dtype not known"));
  ck_assert_ptr_nonnull(strstr(o.out, "4 rows: 0 in fits, 1 without a match"));
  const char *all = strstr(o.out, "over all                              not fitted");
  ck_assert_ptr_nonnull(all);
  ck_assert_ptr_nonnull(strstr(all, " 20.0%    3"));
  free_output(&o);
  arguments[6] = "--json";
  o = run_profile(f.folder, arguments);
  ck_assert_int_eq(o.status, 0);
  ck_assert_ptr_nonnull(strstr(o.out, "\"decode_error\": 0.1,"));
  ck_assert_ptr_nonnull(
      strstr(o.out, "\"not_fitted\": {\"decode\": {\"rows\": 3, \"median\": 0.2, "));
  ck_assert_ptr_nonnull(strstr(o.out, "\"without_match\": 1}"));
  free_output(&o);
  free(rows);
  end(f);
}
END_TEST

static const struct {
  const char *row, *error; /* follows the file's name */
} bad[] = {
    {"X,1,1,M,,f16,a,1,1,,,,1,,,e,t,\n",
     ":2: prompt_tokens \"a\" is no number; give a finite one\n"},
    {"X,1,1,M,,f16,1,1,lots,,,,1,,,e,t,\n",
     ":2: concurrency \"lots\" is no number; give a finite one\n"},
    {"X,1,1,M,,f16,1,1,1,,,,-1,,,e,t,\n",
     ":2: decode_tok_s -1 is out of range; give 1e-09 to 1e+15\n"},
    {"X,1,1,M,,f16,1\n", ":2: 7 cells; the header has 18 columns\n"},
};

START_TEST(test_bad_rows) {
  char *text = celslm_format("%s%s", HEADER, bad[_i].row);
  fixture f = begin(text);
  char *arguments[] = {"profile", "check", "--against", f.rows, NULL};
  output o = run_profile(f.folder, arguments);
  char *expected = celslm_format("%s%s", f.rows, bad[_i].error);
  ck_assert_int_eq(o.status, 2);
  ck_assert_str_eq(o.err, expected);
  ck_assert_str_eq(o.out, "");
  free(expected);
  free_output(&o);
  free(text);
  end(f);
}
END_TEST

/* Tables as others write them: every row is priced, or counted with the reason why not. */
static const struct {
  const char *row, *why; /* why: NULL if it has a match */
} others[] = {
    {"RTX 4090 "
     "24GB,1,1,meta-llama/Llama-2-7b-chat-hf,,Q4_K_M,n/a,-,1,,,NA,50,,,llama-cpp-python,t,",
     NULL},
    {"  NVIDIA GeForce RTX 4090 , 1 , 1 , Llama-3.1-8B-Instruct ,,fp16, 10, "
     "100,1,,,,50,,,llama.cpp "
     ",t,",
     NULL},
    {"NVIDIA A100-SXM4-80GB,1,1,mistralai/Mistral-7B-Instruct-v0.3,,bfloat16,10,100,inf,,,,50,,,"
     "vLLM 0.6.3 (V1),t,",
     NULL},
    {"RTX 3090,1,1,Some-9B,9e9,mxfp4,,,,,,,50,,,ollama,t,", NULL},
    {"RTX 3090,1,1,Some-9B,9e9,IQ3_XXS,,,MAX,,,,50,,,GGUF,t,", NULL},
    {"RTX 3090,1,1,Mixtral-8x7B,46.7e9,q4_k_m,,,,,,,50,,,llama.cpp,t,", "1 model not known"},
    {"Abacus 9000,1,1,Llama-2-7B,,f16,,,,,,,50,,,vLLM,t,", "1 device not known"},
    {"RTX 3090,1,1,Llama-2-7B,,f16,,,,,,,50,,,Homegrown 1.0,t,", "1 engine not known"},
    {"RTX 3090,1,1,Llama-2-7B,,,,,,,,,50,,,vLLM,t,", "1 no dtype"},
    {",1,1,Llama-2-7B,,f16,,,,,,,50,,,vLLM,t,", "1 no device"},
    {"RTX 3090,1,2,Llama-2-7B,,f16,,,,,,,50,,,vLLM,t,", "1 TP above count"},
    {"RTX 3090,1,1,Llama-2-7B,,sparkles,,,,,,,50,,,llama.cpp,t,", "1 dtype not known"},
};
enum { OTHERS = sizeof others / sizeof *others };

START_TEST(test_other_tables) {
  char *text = celslm_format("\xef\xbb\xbf%s%s\r\n\r\n", HEADER, others[_i].row);
  fixture f = begin(text);
  char *arguments[] = {"profile", "check", "--against", f.rows, NULL};
  output o = run_profile(f.folder, arguments);
  ck_assert_str_eq(o.err, "");
  ck_assert_int_eq(o.status, 0);
  ck_assert_ptr_nonnull(
      strstr(o.out, others[_i].why ? "1 without a match (" : " 0 without a match"));
  if (others[_i].why) ck_assert_msg(strstr(o.out, others[_i].why) != NULL, "%s", o.out);
  free_output(&o);
  free(text);
  end(f);
}
END_TEST

/* Only what must be there. */
START_TEST(test_few_columns) {
  fixture f =
      begin("engine,decode_tok_s,model,device,dtype\nllama.cpp,50,Llama-2-7B,RTX 3090,q4_0\n");
  char *arguments[] = {"profile", "check", "--against", f.rows, NULL};
  output o = run_profile(f.folder, arguments);
  ck_assert_str_eq(o.err, "");
  ck_assert_ptr_nonnull(strstr(o.out, " 0 without a match"));
  free_output(&o);
  end(f);
}
END_TEST

/* Rows made by a profile whose bandwidth is 0.8 of the base's: the fit finds it. */
START_TEST(test_fit_to_rows) {
  char *rows = celslm_strdup(HEADER);
  for (int i = 0; i < 24; i++) {
    char *row =
        celslm_format("RTX 4090 24GB,1,1,Llama-2-7B,,f16,%d,100,1,,,,50,,,llama.cpp,t,", 100 * i);
    double decode = 0.8 * predict(row).decode;
    char *more =
        celslm_format("%sRTX 4090 24GB,1,1,Llama-2-7B,,f16,%d,100,1,,,,%.9g,,,llama.cpp,t,\n", rows,
                      100 * i, decode);
    free(rows);
    free(row);
    rows = more;
  }
  fixture f = begin(rows);
  char *sheets =
      celslm_format("cp %s/platforms/profiles/datasheets.csv %s", CELSLM_SOURCE_DIR, f.folder);
  ck_assert_int_eq(system(sheets), 0);
  char *made = celslm_format("%s/made.xml", f.folder);
  char *arguments[] = {"profile", "fit", "--rows", f.rows,     "--base", f.profile, "--profiles",
                       f.folder,  "-o",  made,     "--source", "tests",  NULL};
  output o = run_profile(f.folder, arguments);
  ck_assert_msg(o.status == 0, "%s", o.err);
  celslm_error err = {""};
  celslm_profile *p = celslm_profile_load(made, &err);
  ck_assert_msg(p != NULL, "%s", err.text);
  check_near(p->curves[CELSLM_CURVE_GEMM].byte_rate, 0.8e12, 0.02);
  ck_assert_double_lt(p->curves[CELSLM_CURVE_GEMM].residual_median, 0.01);
  ck_assert_ptr_nonnull(strstr(p->curves[CELSLM_CURVE_GEMM].source, "fitted on"));
  ck_assert_ptr_nonnull(strstr(p->curves[CELSLM_CURVE_PREFILL].source, "assumption")); /* no rows */
  ck_assert_ptr_nonnull(p->fitted_rows);
  /* the check tells the two halves apart */
  char *check[] = {"profile", "check", "--against", f.rows, "--profile", made, NULL};
  output c = run_profile(f.folder, check);
  ck_assert_int_eq(c.status, 0);
  ck_assert_ptr_nonnull(strstr(c.out, "(given, fitted)"));
  ck_assert_ptr_nonnull(strstr(c.out, "(given)"));
  celslm_profile_free(p);
  free_output(&o);
  free_output(&c);
  free(made);
  free(sheets);
  free(rows);
  end(f);
}
END_TEST

/* ---- outside data ---- */

static double number_after(const char *text, const char *first, const char *second,
                           const char *third) {
  const char *s = strstr(text, first);
  s = s ? strstr(s, second) : NULL;
  s = s ? strstr(s, third) : NULL;
  ck_assert_ptr_nonnull(s);
  s = strstr(s, "\"median\": ");
  ck_assert_ptr_nonnull(s);
  return strtod(s + strlen("\"median\": "), NULL);
}

START_TEST(test_devices) {
  char *facts = outside("CELSLM_FACTS", "facts");
  if (!facts) return;
  char *rows = celslm_format("%s/devices.csv", facts), *folder = make_folder();
  char *profiles = celslm_format("%s/platforms/profiles", CELSLM_SOURCE_DIR);
  char *arguments[] = {"profile",    "check",  "--against", rows,
                       "--profiles", profiles, "--json",    NULL};
  output o = run_profile(folder, arguments);
  ck_assert_msg(o.status == 0, "%s", o.err);
  double decode = number_after(o.out, "\"all\": {", "\"not_fitted\"", "\"decode\"");
  double prefill = number_after(o.out, "\"all\": {", "\"not_fitted\"", "\"prefill\"");
  printf("rows that no profile was fitted to: decode %.1f%%, prefill %.1f%%\n", decode * 100,
         prefill * 100);
  ck_assert_double_le(decode, 0.12);
  ck_assert_double_le(prefill, 0.20);
  free_output(&o);
  free(profiles);
  free(rows);
  free(facts);
  remove_folder(folder);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("profile check");
  TCase *tests = tcase_create("check");
  tcase_add_test(tests, test_decode);
  tcase_add_test(tests, test_prefill);
  tcase_add_test(tests, test_kinds);
  tcase_add_test(tests, test_formats);
  tcase_add_test(tests, test_match);
  tcase_add_test(tests, test_medians);
  tcase_add_loop_test(tests, test_bad_rows, 0, sizeof bad / sizeof *bad);
  tcase_add_loop_test(tests, test_other_tables, 0, OTHERS);
  tcase_add_test(tests, test_few_columns);
  tcase_add_test(tests, test_fit_to_rows);
  tcase_add_test(tests, test_devices);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
