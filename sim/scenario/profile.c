/* profile.c - reading and writing device profiles (see profile.h); schema: platforms/profile.xsd.
 *
 * Writing uses 17 significant digits and base units, so that reading gives the same doubles. */
#include "scenario/profile.h"

#include "scenario/xml.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const char celslm_embedded_profile_xsd[];

static const char *const curve_names[CELSLM_CURVES + 1] = {
    [CELSLM_CURVE_GEMM] = "gemm",
    [CELSLM_CURVE_PREFILL] = "prefill-attention",
    [CELSLM_CURVE_DECODE] = "decode-attention",
    [CELSLM_CURVE_ELEMENTWISE] = "elementwise",
};

static const char *const small_names[CELSLM_SMALL_OPS] = {
    [CELSLM_SMALL_ROPE] = "rope",
    [CELSLM_SMALL_GATE] = "gate",
    [CELSLM_SMALL_RESIDUAL] = "residual",
};
static const char *const way_names[] = {"within", "fused", "apart", NULL}; /* celslm_small_way */

static const char *const overhead_names[] = {"step", "layer", "sequence", NULL};

const char *celslm_curve_name(celslm_curve_kind k) {
  return curve_names[k];
}

static bool read_dtype(const celslm_element *e, const char *name, celslm_dtype *d,
                       celslm_error *err) {
  const char *names[CELSLM_DTYPES + 1] = {NULL};
  for (int i = 0; i < CELSLM_DTYPES; i++) names[i] = celslm_dtype_name((celslm_dtype)i);
  int index;
  if (!celslm_element_choice(e, name, names, -1, &index, err)) return false;
  *d = (celslm_dtype)index;
  return true;
}

static char *source_of(const celslm_element *e) {
  const char *s = celslm_element_attribute(e, "source");
  return celslm_strdup(s ? s : "");
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool read_peak(const celslm_element *e, celslm_profile *p, celslm_error *err) {
  celslm_dtype d;
  if (!read_dtype(e, "dtype", &d, err)) return false;
  if (!isnan(p->peak[d]))
    return celslm_element_fail(e, err, "a second <peak dtype=\"%s\">; one for each precision",
                               celslm_dtype_name(d));
  p->peak_source[d] = source_of(e);
  return celslm_element_quantity(e, "rate", CELSLM_UNIT_FLOPS, DBL_MIN, INFINITY, NAN, &p->peak[d],
                                 err);
}

static bool read_overhead(const celslm_element *e, celslm_profile *p, celslm_error *err) {
  int index;
  if (!celslm_element_choice(e, "kind", overhead_names, -1, &index, err)) return false;
  double *to[] = {&p->step_overhead, &p->layer_overhead, &p->sequence_overhead};
  char **source[] = {&p->step_source, &p->layer_source, &p->sequence_source};
  if (*source[index])
    return celslm_element_fail(e, err, "a second <overhead kind=\"%s\">; one of each kind",
                               overhead_names[index]);
  *source[index] = source_of(e);
  return celslm_element_quantity(e, "time", CELSLM_UNIT_TIME, 0, INFINITY, NAN, to[index], err);
}

/* A residual or bound that need not be there. */
static bool read_optional(const celslm_element *e, const char *name, double absent, double *to,
                          celslm_error *err) {
  if (celslm_element_attribute(e, name))
    return celslm_element_quantity(e, name, CELSLM_UNIT_NUMBER, 0, INFINITY, NAN, to, err);
  *to = absent;
  return true;
}

static bool read_curve(const celslm_element *e, celslm_profile *p, celslm_error *err) {
  int kind;
  if (!celslm_element_choice(e, "kind", curve_names, -1, &kind, err)) return false;
  celslm_curve *c = &p->curves[kind];
  if (c->source)
    return celslm_element_fail(e, err, "a second <curve kind=\"%s\">; one of each kind",
                               curve_names[kind]);
  c->source = source_of(e);
  if (!celslm_element_quantity(e, "flop_rate", CELSLM_UNIT_FLOPS, DBL_MIN, INFINITY, NAN,
                               &c->flop_rate, err) ||
      !celslm_element_quantity(e, "half_rows", CELSLM_UNIT_NUMBER, 0, INFINITY, NAN, &c->half_rows,
                               err) ||
      !celslm_element_quantity(e, "byte_rate", CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN,
                               &c->byte_rate, err) ||
      !celslm_element_quantity(e, "latency", CELSLM_UNIT_TIME, 0, INFINITY, NAN, &c->latency,
                               err) ||
      !read_optional(e, "residual_median", NAN, &c->residual_median, err) ||
      !read_optional(e, "residual_p95", NAN, &c->residual_p95, err) ||
      !read_optional(e, "sharpness", 0, &c->sharpness, err) ||
      !read_optional(e, "rows_sharpness", 0, &c->rows_sharpness, err) ||
      (celslm_element_attribute(e, "append_rate") &&
       !celslm_element_quantity(e, "append_rate", CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN,
                                &c->append_rate, err)) ||
      !read_optional(e, "rows_min", 1, &c->rows_min, err) ||
      !read_optional(e, "rows_max", INFINITY, &c->rows_max, err))
    return false;
  if (c->append_rate > 0 && kind != CELSLM_CURVE_PREFILL && kind != CELSLM_CURVE_DECODE)
    return celslm_element_fail(e, err,
                               "<curve kind=\"%s\"> append_rate; only the curves of attention "
                               "append keys and values",
                               curve_names[kind]);
  double peak = p->peak[p->curve_dtype];
  if (c->flop_rate > peak)
    return celslm_element_fail(e, err,
                               "<curve kind=\"%s\"> flop_rate is above the device's peak; it must "
                               "be at most %.6gTf, the %s peak",
                               curve_names[kind], peak / 1e12, celslm_dtype_name(p->curve_dtype));
  if (c->byte_rate > p->bandwidth)
    return celslm_element_fail(e, err,
                               "<curve kind=\"%s\"> byte_rate is above the device's bandwidth; it "
                               "must be at most %.6gGBps",
                               curve_names[kind], p->bandwidth / 1e9);
  if (c->sharpness > 0 && (c->sharpness < 1 || kind == CELSLM_CURVE_DECODE))
    return celslm_element_fail(
        e, err, "<curve kind=\"%s\"> sharpness %g; it must be at least 1, and decode has none",
        curve_names[kind], c->sharpness);
  if (c->rows_sharpness > 0 && c->rows_sharpness < 1)
    return celslm_element_fail(e, err,
                               "<curve kind=\"%s\"> rows_sharpness %g; it must be at least 1",
                               curve_names[kind], c->rows_sharpness);
  if (c->rows_min > c->rows_max)
    return celslm_element_fail(e, err,
                               "<curve kind=\"%s\"> rows_min is above rows_max; it must not be",
                               curve_names[kind]);
  return true;
}

static bool read_curves(const celslm_element *e, celslm_profile *p, celslm_error *err) {
  if (!read_dtype(e, "dtype", &p->curve_dtype, err)) return false;
  if (isnan(p->peak[p->curve_dtype]))
    return celslm_element_fail(e, err,
                               "<curves dtype=\"%s\"> without a <peak> of that precision; give one",
                               celslm_dtype_name(p->curve_dtype));
  for (int i = 0; i < CELSLM_SMALL_OPS; i++) {
    int way;
    if (!celslm_element_choice(e, small_names[i], way_names, CELSLM_SMALL_WITHIN, &way, err))
      return false;
    p->small[i] = (celslm_small_way)way;
  }
  for (int i = 0; i < e->n_children; i++)
    if (!read_curve(&e->children[i], p, err)) return false;
  for (int k = 0; k < CELSLM_CURVES; k++)
    if (!p->curves[k].source)
      return celslm_element_fail(e, err,
                                 "<curves> lacks <curve kind=\"%s\">; all of gemm, "
                                 "prefill-attention, decode-attention, elementwise are needed",
                                 curve_names[k]);
  return true;
}

static bool read_power(const celslm_element *e, celslm_profile *p, celslm_error *err) {
  p->power_source = source_of(e);
  if (!celslm_element_quantity(e, "idle", CELSLM_UNIT_POWER, 0, INFINITY, NAN, &p->power_idle,
                               err) ||
      !celslm_element_quantity(e, "max", CELSLM_UNIT_POWER, 0, INFINITY, NAN, &p->power_max, err) ||
      !read_optional(e, "memory_share", NAN, &p->power_memory, err) ||
      !read_optional(e, "compute_share", NAN, &p->power_compute, err) ||
      !read_optional(e, "residual_median", NAN, &p->power_residual, err))
    return false;
  if (p->power_idle > p->power_max)
    return celslm_element_fail(e, err, "<power> idle is above max; it must not be");
  if (isnan(p->power_memory) != isnan(p->power_compute))
    return celslm_element_fail(e, err,
                               "<power> has one of memory_share and compute_share; give both");
  return true;
}

static bool read_link(const celslm_element *e, celslm_profile *p, celslm_error *err) {
  p->link_source = source_of(e);
  return celslm_element_quantity(e, "start", CELSLM_UNIT_TIME, 0, INFINITY, NAN, &p->link_start,
                                 err) &&
         celslm_element_quantity(e, "latency", CELSLM_UNIT_TIME, 0, INFINITY, NAN, &p->link_latency,
                                 err) &&
         celslm_element_quantity(e, "rate", CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN, &p->link_rate,
                                 err);
}

static bool read_table(const celslm_element *e, celslm_profile *p, celslm_error *err) {
  const char *name = celslm_element_attribute(e, "file"), *slash = strrchr(p->file, '/');
  int folder = slash && name[0] != '/' ? (int)(slash + 1 - p->file) : 0;
  celslm_error why = {""};
  p->table_file = celslm_strdup(name);
  p->table_source = source_of(e);
  char *file = celslm_format("%.*s%s", folder, p->file, name);
  p->table = celslm_table_load(file, &why);
  free(file);
  return p->table || celslm_element_fail(e, err, "%s", why.text);
}

static bool read_format(const celslm_element *e, celslm_profile *p, celslm_error *err) {
  p->formats = celslm_realloc(p->formats, (unsigned long)p->n_formats + 1, sizeof *p->formats);
  celslm_weight_format *f = &p->formats[p->n_formats];
  const char *name = celslm_element_attribute(e, "name");
  if (celslm_profile_format(p, name))
    return celslm_element_fail(e, err, "a second <format name=\"%s\">; one of each name", name);
  *f = (celslm_weight_format){.name = celslm_strdup(name), .source = source_of(e)};
  p->n_formats++;
  return celslm_element_quantity(e, "bits", CELSLM_UNIT_NUMBER, 1, 64, NAN, &f->bits, err) &&
         celslm_element_quantity(e, "head_bits", CELSLM_UNIT_NUMBER, 1, 64, NAN, &f->head_bits,
                                 err) &&
         celslm_element_quantity(e, "byte_share", CELSLM_UNIT_NUMBER, 1e-3, 1, NAN, &f->byte_share,
                                 err) &&
         celslm_element_quantity(e, "flop_share", CELSLM_UNIT_NUMBER, 1e-3, 1, NAN, &f->flop_share,
                                 err);
}

static bool read_codec(const celslm_element *e, celslm_profile *p, celslm_error *err) {
  p->codecs = celslm_realloc(p->codecs, (unsigned long)p->n_codecs + 1, sizeof *p->codecs);
  celslm_codec_cost *c = &p->codecs[p->n_codecs];
  const char *name = celslm_element_attribute(e, "name");
  if (celslm_profile_codec(p, name))
    return celslm_element_fail(e, err, "a second <codec name=\"%s\">; one of each name", name);
  *c = (celslm_codec_cost){.name = celslm_strdup(name), .source = source_of(e)};
  p->n_codecs++;
  return celslm_element_quantity(e, "encode", CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN, &c->encode,
                                 err) &&
         celslm_element_quantity(e, "decode", CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN, &c->decode,
                                 err) &&
         celslm_element_quantity(e, "overhead", CELSLM_UNIT_TIME, 0, INFINITY, 0, &c->overhead,
                                 err);
}

static void read_names(const celslm_element *root, celslm_profile *p) {
  const char *description = celslm_element_attribute(root, "description");
  const char *device = celslm_element_attribute(root, "device");
  const char *runtime = celslm_element_attribute(root, "runtime");
  const char *family = celslm_element_attribute(root, "family");
  p->name = celslm_strdup(celslm_element_attribute(root, "name"));
  p->description = celslm_strdup(description ? description : "");
  p->device = celslm_strdup(device ? device : p->name);
  p->runtime = celslm_strdup(runtime ? runtime : "");
  p->family = celslm_strdup(family ? family : "");
}

static bool read_profile(const celslm_element *root, celslm_profile *p, celslm_error *err) {
  read_names(root, p);
  if (!read_optional(root, "chunk", 0, &p->chunk, err)) return false;
  p->power_memory = p->power_compute = p->power_residual = p->link_rate = NAN;
  for (int d = 0; d < CELSLM_DTYPES; d++) p->peak[d] = NAN;
  for (int i = 0; i < root->n_children; i++) { /* the schema fixes the order: peaks before curves */
    const celslm_element *e = &root->children[i];
    bool ok = true;
    if (strcmp(e->name, "peak") == 0)
      ok = read_peak(e, p, err);
    else if (strcmp(e->name, "overhead") == 0)
      ok = read_overhead(e, p, err);
    else if (strcmp(e->name, "curves") == 0)
      ok = read_curves(e, p, err);
    else if (strcmp(e->name, "memory") == 0) {
      p->memory_source = source_of(e);
      ok = celslm_element_quantity(e, "size", CELSLM_UNIT_BYTES, DBL_MIN, INFINITY, NAN, &p->memory,
                                   err);
    } else if (strcmp(e->name, "bandwidth") == 0) {
      p->bandwidth_source = source_of(e);
      ok = celslm_element_quantity(e, "rate", CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN,
                                   &p->bandwidth, err);
    } else if (strcmp(e->name, "power") == 0)
      ok = read_power(e, p, err);
    else if (strcmp(e->name, "link") == 0)
      ok = read_link(e, p, err);
    else if (strcmp(e->name, "table") == 0)
      ok = read_table(e, p, err);
    else if (strcmp(e->name, "format") == 0)
      ok = read_format(e, p, err);
    else if (strcmp(e->name, "codec") == 0)
      ok = read_codec(e, p, err);
    else if (strcmp(e->name, "rows") == 0)
      p->fitted_rows = celslm_strdup(celslm_element_attribute(e, "fitted"));
    if (!ok) return false;
  }
  const char *const *o = overhead_names;
  const char *sources[] = {p->step_source, p->layer_source, p->sequence_source};
  for (int i = 0; o[i]; i++)
    if (!sources[i])
      return celslm_element_fail(root, err,
                                 "<profile> lacks <overhead kind=\"%s\">; give one of "
                                 "each kind: step, layer, sequence",
                                 o[i]);
  return true;
}

celslm_profile *celslm_profile_load(const char *file, celslm_error *err) {
  celslm_xml *x = celslm_xml_open(file, err);
  if (!x) return NULL;
  celslm_profile *p = celslm_alloc(1, sizeof *p);
  p->file = celslm_strdup(file);
  p->text = celslm_xml_text(x);
  bool ok = celslm_xml_validate(x, celslm_embedded_profile_xsd, err);
  if (ok) {
    celslm_element *root = celslm_xml_elements(x);
    ok = read_profile(root, p, err);
    celslm_element_free(root);
  }
  celslm_xml_close(x);
  if (ok) return p;
  celslm_profile_free(p);
  return NULL;
}

void celslm_profile_free(celslm_profile *p) {
  if (!p) return;
  for (int d = 0; d < CELSLM_DTYPES; d++) free(p->peak_source[d]);
  for (int k = 0; k < CELSLM_CURVES; k++) free(p->curves[k].source);
  for (int i = 0; i < p->n_formats; i++) {
    free(p->formats[i].name);
    free(p->formats[i].source);
  }
  free(p->formats);
  for (int i = 0; i < p->n_codecs; i++) {
    free(p->codecs[i].name);
    free(p->codecs[i].source);
  }
  free(p->codecs);
  char *texts[] = {p->name,
                   p->file,
                   p->description,
                   p->device,
                   p->runtime,
                   p->family,
                   p->text,
                   p->memory_source,
                   p->power_source,
                   p->step_source,
                   p->bandwidth_source,
                   p->layer_source,
                   p->link_source,
                   p->table_file,
                   p->table_source,
                   p->fitted_rows,
                   p->sequence_source};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free(texts[i]);
  celslm_table_free(p->table);
  free(p);
}

const celslm_weight_format *celslm_profile_format(const celslm_profile *p, const char *name) {
  for (int i = 0; i < p->n_formats; i++)
    if (strcmp(p->formats[i].name, name) == 0) return &p->formats[i];
  return NULL;
}

const celslm_codec_cost *celslm_profile_codec(const celslm_profile *p, const char *name) {
  for (int i = 0; i < p->n_codecs; i++)
    if (strcmp(p->codecs[i].name, name) == 0) return &p->codecs[i];
  return NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put(FILE *f, const char *before, const char *text) {
  char *safe = celslm_xml_escape(text ? text : "not stated");
  fprintf(f, "%s\"%s\"", before, safe);
  free(safe);
}

static void put_finite(FILE *f, const char *name, double v) {
  if (isfinite(v)) fprintf(f, " %s=\"%.17g\"", name, v);
}

static void write_curve(FILE *f, const char *name, const celslm_curve *c) {
  fprintf(f,
          "    <curve kind=\"%s\" flop_rate=\"%.17gf\" half_rows=\"%.17g\"\n"
          "           byte_rate=\"%.17gBps\" latency=\"%.17gs\"\n          ",
          name, c->flop_rate, c->half_rows, c->byte_rate, c->latency);
  if (c->append_rate > 0) fprintf(f, " append_rate=\"%.17gBps\"", c->append_rate);
  if (c->sharpness > 0) put_finite(f, "sharpness", c->sharpness);
  if (c->rows_sharpness > 0) put_finite(f, "rows_sharpness", c->rows_sharpness);
  put_finite(f, "residual_median", c->residual_median);
  put_finite(f, "residual_p95", c->residual_p95);
  put_finite(f, "rows_min", c->rows_min);
  put_finite(f, "rows_max", c->rows_max);
  put(f, "\n           source=", c->source);
  fputs("/>\n", f);
}

static void write_power(FILE *f, const celslm_profile *p) {
  fprintf(f, "/>\n  <power idle=\"%.17gW\" max=\"%.17gW\"", p->power_idle, p->power_max);
  if (p->power_memory > 0 || p->power_compute > 0) {
    put_finite(f, "memory_share", p->power_memory);
    put_finite(f, "compute_share", p->power_compute);
    put_finite(f, "residual_median", p->power_residual);
  }
  put(f, " source=", p->power_source);
  fputs("/>\n", f);
}

/* What follows the curves. */
static void write_extras(FILE *f, const celslm_profile *p) {
  if (p->table_file) {
    put(f, "  <table file=", p->table_file);
    put(f, " source=", p->table_source);
    fputs("/>\n", f);
  }
  for (int i = 0; i < p->n_formats; i++) {
    const celslm_weight_format *w = &p->formats[i];
    put(f, "  <format name=", w->name);
    fprintf(f,
            " bits=\"%.17g\" head_bits=\"%.17g\" byte_share=\"%.17g\" "
            "flop_share=\"%.17g\"\n         ",
            w->bits, w->head_bits, w->byte_share, w->flop_share);
    put(f, " source=", w->source);
    fputs("/>\n", f);
  }
  for (int i = 0; i < p->n_codecs; i++) {
    const celslm_codec_cost *w = &p->codecs[i];
    put(f, "  <codec name=", w->name);
    fprintf(f, " encode=\"%.17gBps\" decode=\"%.17gBps\" overhead=\"%.17gs\"\n        ", w->encode,
            w->decode, w->overhead);
    put(f, " source=", w->source);
    fputs("/>\n", f);
  }
  if (p->fitted_rows) {
    put(f, "  <rows fitted=", p->fitted_rows);
    fputs("/>\n", f);
  }
}

static void write_names(FILE *f, const celslm_profile *p) {
  fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", f);
  put(f, "<profile name=", p->name);
  put(f, " description=", p->description ? p->description : "");
  if (p->device && strcmp(p->device, p->name) != 0) put(f, "\n         device=", p->device);
  if (p->runtime && *p->runtime) put(f, " runtime=", p->runtime);
  if (p->family && *p->family) put(f, " family=", p->family);
  if (p->chunk > 0) put_finite(f, "chunk", p->chunk);
  fputs(">\n", f);
}

static void write_profile(FILE *f, const celslm_profile *p) {
  write_names(f, p);
  for (int d = 0; d < CELSLM_DTYPES; d++)
    if (isfinite(p->peak[d])) {
      fprintf(f, "  <peak dtype=\"%s\" rate=\"%.17gf\"", celslm_dtype_name((celslm_dtype)d),
              p->peak[d]);
      put(f, " source=", p->peak_source[d]);
      fputs("/>\n", f);
    }
  fprintf(f, "  <memory size=\"%.17gB\"", p->memory);
  put(f, " source=", p->memory_source);
  fprintf(f, "/>\n  <bandwidth rate=\"%.17gBps\"", p->bandwidth);
  put(f, " source=", p->bandwidth_source);
  write_power(f, p);
  const double overheads[] = {p->step_overhead, p->layer_overhead, p->sequence_overhead};
  const char *sources[] = {p->step_source, p->layer_source, p->sequence_source};
  for (int i = 0; overhead_names[i]; i++) {
    fprintf(f, "  <overhead kind=\"%s\" time=\"%.17gs\"", overhead_names[i], overheads[i]);
    put(f, " source=", sources[i]);
    fputs("/>\n", f);
  }
  if (p->link_source) {
    fprintf(f, "  <link start=\"%.17gs\" latency=\"%.17gs\" rate=\"%.17gBps\"", p->link_start,
            p->link_latency, p->link_rate);
    put(f, " source=", p->link_source);
    fputs("/>\n", f);
  }
  fprintf(f, "  <curves dtype=\"%s\"", celslm_dtype_name(p->curve_dtype));
  for (int i = 0; i < CELSLM_SMALL_OPS; i++)
    if (p->small[i]) fprintf(f, " %s=\"%s\"", small_names[i], way_names[p->small[i]]);
  fputs(">\n", f);
  for (int k = 0; k < CELSLM_CURVES; k++) write_curve(f, curve_names[k], &p->curves[k]);
  fputs("  </curves>\n", f);
  write_extras(f, p);
  fputs("</profile>\n", f);
}

bool celslm_profile_save(const celslm_profile *p, const char *file, celslm_error *err) {
  char *part = celslm_format("%s.part", file);
  FILE *f = fopen(part, "w");
  bool ok = f != NULL;
  if (f) {
    write_profile(f, p);
    ok = fflush(f) == 0 && fsync(fileno(f)) == 0 && !ferror(f);
    ok = fclose(f) == 0 && ok;
    ok = ok && rename(part, file) == 0;
  }
  if (!ok) {
    celslm_fail(err, file, 0, "cannot be written: %s; give a file in a folder that can be written",
                strerror(errno));
    if (f) unlink(part);
  }
  free(part);
  return ok;
}
