/* devices.c - datasheets, profiles and models that published rows name (see devices.h). */
#include "cost/devices.h"

#include "base/version.h"

#include <ctype.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

typedef struct scaled {
  const celslm_profile *original;
  const celslm_datasheet *to;
  celslm_profile *profile;
} scaled;

struct celslm_devices {
  celslm_csv *csv;
  celslm_datasheet *sheets;
  int n_sheets;
  celslm_profile **profiles;
  int n_profiles;
  bool given; /* one profile for all rows */
  scaled *scaled;
  int n_scaled;
  celslm_model *models;
  int n_models;
};

static const char *const level_names[] = {"device", "family", "vendor", "given", "none"};

const char *celslm_match_name(celslm_match_level level) {
  return level_names[level];
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_word(char c) {
  return isalnum((unsigned char)c) || c == '+' || c == '.';
}

/* Whether each word of `words` is a word of `text` (which may have any case and punctuation). */
static bool has_words(const char *text, const char *words) {
  while (*words) {
    size_t n = strcspn(words, " ");
    bool found = false;
    for (const char *s = text; *s && !found;) {
      size_t m = 0;
      while (is_word(s[m])) m++;
      found = m == n && strncasecmp(s, words, n) == 0;
      s += m ? m : 1;
    }
    if (!found) return false;
    words += n;
    words += strspn(words, " ");
  }
  return true;
}

const celslm_datasheet *celslm_devices_find(const celslm_devices *d, const char *device) {
  const celslm_datasheet *best = NULL;
  for (int i = 0; i < d->n_sheets; i++) {
    const celslm_datasheet *s = &d->sheets[i];
    if (strcasecmp(s->device, device) == 0) return s;
    if (has_words(device, s->match) && (!best || strlen(s->match) > strlen(best->match))) best = s;
  }
  return best;
}

const char *celslm_runtime_of(const char *engine) {
  static const struct {
    const char *part, *runtime;
  } names[] = {{"T-MAC", "llama.cpp"},
               {"ollama", "llama.cpp"},
               {"llama.cpp", "llama.cpp"},
               {"llamafile", "llama.cpp"},
               {"LM Studio", "llama.cpp"},
               {"koboldcpp", "llama.cpp"},
               {"llamacpp", "llama.cpp"},
               {"llama-cpp", "llama.cpp"},
               {"llama-bench", "llama.cpp"},
               {"ggml", "llama.cpp"},
               {"gguf", "llama.cpp"},
               {"gpt4all", "llama.cpp"},
               {"mlx", "llama.cpp"},
               {"vLLM", "vLLM"},
               {"MII", "vLLM"},
               {"SGLang", "vLLM"},
               {"LMDeploy", "vLLM"},
               {"TGI", "vLLM"},
               {"text-generation-inference", "vLLM"},
               {"DeepSpeed", "vLLM"},
               {"FasterTransformer", "TensorRT-LLM"},
               {"TensorRT", "TensorRT-LLM"},
               {"trtllm", "TensorRT-LLM"},
               {"trt-llm", "TensorRT-LLM"},
               {"NIM", "TensorRT-LLM"},
               {"gpt-fast", "gpt-fast"},
               {"torch.compile", "gpt-fast"},
               {"HF", "transformers"},
               {"transformers", "transformers"},
               {"Hugging", "transformers"},
               {"eager", "transformers"},
               {"TinyChat", "TinyChat"},
               {"AWQ", "TinyChat"},
               {"ExLlama", "ExLlamaV2"},
               {"MLC", "MLC"},
               {"Genie", "Genie"},
               {"QNN", "Genie"},
               {"ExecuTorch", "ExecuTorch"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcasestr(engine, names[i].part)) return names[i].runtime;
  return NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool read_sheets(celslm_devices *d, const char *file, celslm_error *err) {
  static const char *const columns[] = {"device",        "match",     "family", "f16_tflops",
                                        "bandwidth_gbs", "memory_gb", "idle_w", "max_w",
                                        "link_gbs",      "source"};
  enum { N = sizeof columns / sizeof *columns };
  int c[N];
  celslm_csv *t = d->csv = celslm_csv_open(file, err);
  if (!t) return false;
  for (int i = 0; i < N; i++)
    if ((c[i] = celslm_csv_column(t, columns[i], err)) < 0) return false;
  d->sheets = celslm_alloc((unsigned long)t->rows + 1, sizeof *d->sheets);
  for (int i = 0; i < t->rows; i++) {
    celslm_datasheet *s = &d->sheets[d->n_sheets++];
    char **texts[] = {&s->device, &s->match, &s->family};
    double *numbers[] = {&s->peak, &s->bandwidth, &s->memory, &s->idle, &s->max, &s->link};
    static const double units[] = {1e12, 1e9, 1e9, 1, 1, 1e9};
    for (int k = 0; k < 3; k++) *texts[k] = (char *)(size_t)celslm_csv_cell(t, i, c[k]);
    s->source = (char *)(size_t)celslm_csv_cell(t, i, c[9]);
    for (int k = 0; k < 6; k++) {
      if (!celslm_csv_number(t, i, c[3 + k], 1e-6, 1e9, false, numbers[k], err)) return false;
      *numbers[k] *= units[k];
    }
  }
  return true;
}

static char *folder_of(const char *here) {
  return access(here, F_OK) == 0 ? celslm_strdup(here) : celslm_format("%s/%s", celslm_home, here);
}

static bool read_profiles(celslm_devices *d, const char *folder, celslm_error *err) {
  char *pattern = celslm_format("%s/*.xml", folder);
  glob_t found = {0};
  bool ok = glob(pattern, 0, NULL, &found) == 0 ||
            celslm_fail(err, folder, 0, "has no profiles; give a folder with profiles in *.xml");
  d->profiles = celslm_alloc(found.gl_pathc + 1, sizeof *d->profiles);
  for (size_t i = 0; ok && i < found.gl_pathc; i++) {
    ok = (d->profiles[d->n_profiles] = celslm_profile_load(found.gl_pathv[i], err)) != NULL;
    d->n_profiles += ok;
  }
  globfree(&found);
  free(pattern);
  return ok;
}

static bool read_models(celslm_devices *d, celslm_error *err) {
  char *folder = folder_of("platforms/models"), *pattern = celslm_format("%s/*.xml", folder);
  glob_t found = {0};
  bool ok = true;
  glob(pattern, 0, NULL, &found);
  d->models = celslm_alloc(found.gl_pathc + 1, sizeof *d->models);
  for (size_t i = 0; ok && i < found.gl_pathc; i++) {
    ok = celslm_model_load(found.gl_pathv[i], &d->models[d->n_models], err);
    d->n_models += ok;
  }
  globfree(&found);
  free(pattern);
  free(folder);
  return ok;
}

celslm_devices *celslm_devices_open(const char *folder, const char *only, celslm_error *err) {
  celslm_devices *d = celslm_alloc(1, sizeof *d);
  char *profiles = folder ? celslm_strdup(folder) : folder_of("platforms/profiles");
  char *sheets = celslm_format("%s/datasheets.csv", profiles);
  bool ok = read_sheets(d, sheets, err) && read_models(d, err);
  if (ok && only) {
    d->given = true;
    d->profiles = celslm_alloc(1, sizeof *d->profiles);
    ok = (d->profiles[0] = celslm_profile_load(only, err)) != NULL;
    d->n_profiles = ok;
  } else if (ok)
    ok = read_profiles(d, profiles, err);
  free(sheets);
  free(profiles);
  if (ok) return d;
  celslm_devices_close(d);
  return NULL;
}

void celslm_devices_close(celslm_devices *d) {
  if (!d) return;
  celslm_csv_close(d->csv);
  free(d->sheets);
  for (int i = 0; i < d->n_profiles; i++) celslm_profile_free(d->profiles[i]);
  free(d->profiles);
  for (int i = 0; i < d->n_scaled; i++) celslm_profile_free(d->scaled[i].profile);
  free(d->scaled);
  for (int i = 0; i < d->n_models; i++) celslm_model_clear(&d->models[i]);
  free(d->models);
  free(d);
}

/* ---- profiles -------------------------------------------------------------------------------- */

static char *copied(const char *s) {
  return s ? celslm_strdup(s) : NULL;
}

celslm_profile *celslm_profile_scaled(const celslm_profile *p, const celslm_datasheet *from,
                                      const celslm_datasheet *to) {
  celslm_profile *q = celslm_alloc(1, sizeof *q);
  double rate = from ? to->peak / from->peak : 1,
         bytes = from ? to->bandwidth / from->bandwidth : 1;
  *q = *p;
  q->table = NULL; /* times are of one device */
  q->table_file = q->table_source = NULL;
  char **texts[] = {&q->name,
                    &q->file,
                    &q->description,
                    &q->device,
                    &q->runtime,
                    &q->family,
                    &q->text,
                    &q->memory_source,
                    &q->link_source,
                    &q->power_source,
                    &q->bandwidth_source,
                    &q->step_source,
                    &q->fitted_rows,
                    &q->layer_source,
                    &q->sequence_source};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = copied(*texts[i]);
  for (int d = 0; d < CELSLM_DTYPES; d++) {
    q->peak[d] *= rate;
    q->peak_source[d] = copied(q->peak_source[d]);
  }
  q->bandwidth *= bytes;
  for (int k = 0; k < CELSLM_CURVES; k++) {
    q->curves[k].flop_rate *= rate;
    q->curves[k].byte_rate *= bytes;
    q->curves[k].append_rate *= bytes;
    q->curves[k].source = copied(q->curves[k].source);
  }
  if (p->n_formats) {
    q->formats = celslm_alloc((unsigned long)p->n_formats, sizeof *q->formats);
    for (int i = 0; i < p->n_formats; i++) {
      q->formats[i] = p->formats[i];
      q->formats[i].name = copied(p->formats[i].name);
      q->formats[i].source = copied(p->formats[i].source);
    }
  }
  if (p->n_codecs) { /* of the host's cores, which do not grow with its accelerator */
    q->codecs = celslm_alloc((unsigned long)p->n_codecs, sizeof *q->codecs);
    for (int i = 0; i < p->n_codecs; i++) {
      q->codecs[i] = p->codecs[i];
      q->codecs[i].name = copied(p->codecs[i].name);
      q->codecs[i].source = copied(p->codecs[i].source);
    }
  }
  if (from) {
    q->memory = to->memory;
    q->power_idle = to->idle;
    q->power_max = to->max;
    if (q->link_source) q->link_rate *= to->link / from->link;
  }
  return q;
}

bool celslm_profile_fitted(const celslm_profile *p, uint32_t key) {
  char text[16];
  snprintf(text, sizeof text, "%08x", key);
  return p->fitted_rows && strstr(p->fitted_rows, text) != NULL;
}

static bool same_vendor(const char *a, const char *b) {
  size_t n = strcspn(a, "-");
  return n == strcspn(b, "-") && strncmp(a, b, n) == 0;
}

static const celslm_profile *scaled_to(celslm_devices *d, const celslm_profile *p,
                                       const celslm_datasheet *to) {
  const celslm_datasheet *from = celslm_devices_find(d, p->device);
  for (int i = 0; i < d->n_scaled; i++)
    if (d->scaled[i].original == p && d->scaled[i].to == to) return d->scaled[i].profile;
  d->scaled = celslm_realloc(d->scaled, (unsigned long)d->n_scaled + 1, sizeof *d->scaled);
  celslm_profile *q = celslm_profile_scaled(p, from, to);
  d->scaled[d->n_scaled++] = (scaled){p, to, q};
  return q;
}

const celslm_profile *celslm_devices_match(celslm_devices *d, const char *device,
                                           const char *engine, celslm_match_level *level,
                                           const celslm_profile **original) {
  const celslm_datasheet *sheet = celslm_devices_find(d, device);
  const char *runtime = celslm_runtime_of(engine);
  const celslm_profile *best = NULL;
  double nearest = INFINITY;
  *level = d->given ? CELSLM_MATCH_GIVEN : CELSLM_MATCH_NONE;
  *original = best = d->given ? d->profiles[0] : NULL;
  if (d->given || !sheet || !runtime) return best;
  for (int i = 0; i < d->n_profiles; i++) {
    const celslm_profile *p = d->profiles[i];
    const celslm_datasheet *of = *p->runtime ? celslm_devices_find(d, p->device) : NULL;
    if (!of || strcasecmp(p->runtime, runtime) != 0) continue;
    celslm_match_level l = of == sheet                             ? CELSLM_MATCH_DEVICE
                           : strcmp(p->family, sheet->family) == 0 ? CELSLM_MATCH_FAMILY
                           : same_vendor(p->family, sheet->family) ? CELSLM_MATCH_VENDOR
                                                                   : CELSLM_MATCH_NONE;
    double distance =
        fabs(log(of->peak / sheet->peak)) + fabs(log(of->bandwidth / sheet->bandwidth));
    if (l > *level || l == CELSLM_MATCH_NONE || (l == *level && distance >= nearest)) continue;
    *level = l;
    nearest = distance;
    best = p;
  }
  *original = best;
  return !best || *level == CELSLM_MATCH_DEVICE ? best : scaled_to(d, best, sheet);
}

/* ---- models ---------------------------------------------------------------------------------- */

/* Letters and digits in lower case, without a publisher ("meta-llama/"). */
static void plain(const char *name, char *to, size_t size) {
  size_t n = 0;
  const char *slash = strrchr(name, '/');
  for (const char *s = slash ? slash + 1 : name; *s && n + 1 < size; s++)
    if (isalnum((unsigned char)*s)) to[n++] = (char)tolower((unsigned char)*s);
  to[n] = 0;
}

/* Whether `name` begins or stands within `text` and no digit goes on after it: the rest are words
 * such as "instruct", "chat" and "v0.3". */
static bool is_in(const char *text, const char *name) {
  for (const char *s = text; (s = strstr(s, name)) != NULL; s++)
    if (!isdigit((unsigned char)s[strlen(name)])) return true;
  return false;
}

static const celslm_model *find_model(const celslm_devices *d, const char *name) {
  static const char *const aliases[][2] = {
      {"llama38b", "llama318b"},       {"llama370b", "llama3170b"},
      {"llama3370b", "llama3170b"},    {"llama7b", "llama27b"},
      {"llama13b", "llama213b"},       {"llama70b", "llama270b"},
      {"phi35mini", "phi3mini"},       {"qwen27b", "qwen257b"},
      {"qwen215b", "qwen2515b"},       {"deepseekr114b", "qwen2514b"},
      {"qwen25coder14b", "qwen2514b"}, {"qwen25coder7b", "qwen257b"},
      {"deepseekr17b", "qwen257b"},    {"deepseekr18b", "llama318b"},
      {"deepseekr132b", "qwen2532b"},  {"deepseekr170b", "llama3170b"},
      {"deepseekr115b", "qwen2515b"},  {"qwen272b", "qwen2572b"},
      {"vicuna7b", "llama27b"},        {"vicuna13b", "llama213b"},
      {"codellama7b", "llama27b"},     {"codellama13b", "llama213b"},
      {"tinyllama", "tinyllama11b"}};
  char wanted[128], other[128];
  const celslm_model *best = NULL;
  size_t longest = 0;
  plain(name, wanted, sizeof wanted);
  for (int i = 0; i < d->n_models; i++) {
    plain(d->models[i].name, other, sizeof other);
    if (strlen(other) > longest && is_in(wanted, other)) {
      best = &d->models[i];
      longest = strlen(other);
    }
    for (size_t a = 0; a < sizeof aliases / sizeof *aliases; a++)
      if (strcmp(other, aliases[a][1]) == 0 && strlen(aliases[a][0]) > longest &&
          is_in(wanted, aliases[a][0])) {
        best = &d->models[i];
        longest = strlen(aliases[a][0]);
      }
  }
  return best;
}

/* Mixtures of experts read only some of their weights for each token: no dense model of their size
 * is like them. */
static bool is_mixture(const char *name) {
  static const char *const parts[] = {"mixtral", "moe",   "8x7",        "8x22", "ba3b",
                                      "ba22b",   "ba35b", "deepseekv2", "dbrx", "deepseekv3",
                                      "gptoss",  "grok1", "scout",      "kimi", "maverick"};
  char text[128];
  plain(name, text, sizeof text);
  if (strcmp(text, "deepseekr1") == 0) return true; /* its distilled ones are dense */
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (strstr(text, parts[i])) return true;
  return false;
}

bool celslm_devices_model(celslm_devices *d, const char *name, double params, celslm_model *model) {
  const celslm_model *m = find_model(d, name);
  if (m) {
    *model = *m;
    return true;
  }
  if (!(params > 1e6) || is_mixture(name)) return false;
  for (int i = 0; i < d->n_models; i++)
    if (!m || fabs(log((double)d->models[i].parameters / params)) <
                  fabs(log((double)m->parameters / params)))
      m = &d->models[i];
  if (!m) return false;
  *model = *m;
  double layers = (double)m->layers * params / (double)m->parameters;
  model->layers = layers > 1 ? llround(layers) : 1;
  return true;
}
