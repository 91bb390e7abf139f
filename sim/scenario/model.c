/* model.c - reading a model file (see model.h); its schema is platforms/model.xsd. */
#include "scenario/model.h"

#include "scenario/xml.h"

#include <stdlib.h>
#include <string.h>

extern const char celslm_embedded_model_xsd[];

static const struct {
  const char *name;
  double bytes;
} dtypes[CELSLM_DTYPES] = {
    [CELSLM_F32] = {"f32", 4}, [CELSLM_F16] = {"f16", 2},   [CELSLM_BF16] = {"bf16", 2},
    [CELSLM_FP8] = {"fp8", 1}, [CELSLM_INT8] = {"int8", 1}, [CELSLM_INT4] = {"int4", 0.5},
};

double celslm_dtype_bytes(celslm_dtype d) {
  return dtypes[d].bytes;
}

const char *celslm_dtype_name(celslm_dtype d) {
  return dtypes[d].name;
}

static char *text_of(const celslm_element *e, const char *name) {
  const char *value = celslm_element_attribute(e, name);
  return celslm_strdup(value ? value : "");
}

static bool read_model(const celslm_element *e, celslm_model *m, celslm_error *err) {
  m->name = text_of(e, "name");
  m->tokenizer = text_of(e, "tokenizer");
  m->source = text_of(e, "source");
  if (celslm_element_attribute(e, "checkpoint"))
    m->checkpoint = celslm_element_path(e, "checkpoint");
  const struct {
    const char *name;
    int64_t *to, max;
  } sizes[] = {
      {"layers", &m->layers, 10000},
      {"hidden", &m->hidden, 1000000},
      {"heads", &m->heads, 100000},
      {"kv_heads", &m->kv_heads, 100000},
      {"head_dim", &m->head_dim, 100000},
      {"ffn", &m->ffn, 10000000},
      {"vocabulary", &m->vocabulary, 1 << 30},
      {"max_context", &m->max_context, 1 << 30},
      {"parameters", &m->parameters, 1ll << 50},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (!celslm_element_integer(e, sizes[i].name, 1, sizes[i].max, INT64_MIN, sizes[i].to, err))
      return false;
  if (!celslm_element_bool(e, "gated", false, &m->gated, err) ||
      !celslm_element_bool(e, "tied_embeddings", false, &m->tied_embeddings, err) ||
      !celslm_element_bool(e, "absolute_positions", false, &m->absolute_positions, err))
    return false;
  if (m->heads % m->kv_heads)
    return celslm_element_fail(
        e, err,
        "<model> has %lld heads over %lld kv_heads; heads must be a multiple "
        "of kv_heads",
        (long long)m->heads, (long long)m->kv_heads);
  return true;
}

bool celslm_model_load(const char *file, celslm_model *out, celslm_error *err) {
  memset(out, 0, sizeof *out);
  celslm_xml *x = celslm_xml_open(file, err);
  if (!x) return false;
  bool ok = celslm_xml_validate(x, celslm_embedded_model_xsd, err);
  if (ok) {
    celslm_element *root = celslm_xml_elements(x);
    ok = read_model(root, out, err);
    celslm_element_free(root);
  }
  celslm_xml_close(x);
  if (!ok) celslm_model_clear(out);
  return ok;
}

void celslm_model_clear(celslm_model *m) {
  free(m->name);
  free(m->tokenizer);
  free(m->source);
  free(m->checkpoint);
  memset(m, 0, sizeof *m);
}
