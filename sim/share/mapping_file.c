/* mapping_file.c - maps and similarities as tables of a results file: `similarity` has a row per
 * source, cloud layer and edge layer; `layers` a row per edge layer; `weights` all their numbers,
 * one layer after the other: mean_x, mean_y, weights, down, up, tail. */
#include "record/record.h"
#include "share/mapping.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct similarity_row {
  double cka, r2;
  uint32_t cloud_layer, edge_layer;
  uint8_t source;
} similarity_row;

typedef struct layer_row {
  double r2;
  uint32_t edge_layer, cloud_layer, first, count, outputs, cloud_layers, width;
  uint8_t source;
} layer_row;

#define NAMED(row, type, field, names, text)                                                       \
  { #field, "1", text, type, offsetof(row, field), names }
#define WHOLE(field, text) NAMED(layer_row, CELSLM_U32, field, NULL, text)

static const celslm_column similarity_columns[] = {
    NAMED(similarity_row, CELSLM_U8, source, celslm_source_names, "what of the cloud layer"),
    NAMED(similarity_row, CELSLM_U32, cloud_layer, NULL, "from 0"),
    NAMED(similarity_row, CELSLM_U32, edge_layer, NULL, "from 0"),
    NAMED(similarity_row, CELSLM_F64, cka, NULL, "linear CKA of source and [keys | values]"),
    NAMED(similarity_row, CELSLM_F64, r2, NULL,
          "held-out R2 of the ridge map, mean of keys' and values'"),
};

static const celslm_column layer_columns[] = {
    NAMED(layer_row, CELSLM_U8, source, celslm_source_names, "what of the cloud layers is mapped"),
    WHOLE(edge_layer, "from 0"),
    WHOLE(cloud_layer, "the layer it is aligned with"),
    WHOLE(first, "first layer of the window that is mapped"),
    WHOLE(count, "layers in the window"),
    WHOLE(outputs, "width of [keys | values]"),
    WHOLE(cloud_layers, "layers of the cloud model"),
    WHOLE(width, "width of one cloud layer's source"),
    NAMED(layer_row, CELSLM_F64, r2, NULL, "held-out R2, mean of keys' and values'"),
};

static const celslm_column weight_columns[] = {
    {"value", "1", "mean_x, mean_y, weights, down, up, tail of each layer in turn", CELSLM_F64, 0,
     NULL},
};
#define LENGTH(a) (sizeof(a) / sizeof *(a))

/* ---- writing --------------------------------------------------------------------------------- */

static void put(celslm_table *t, const double *x, size_t n) {
  for (size_t i = 0; i < n; i++) celslm_table_append(t, x + i);
}

static void put_floats(celslm_table *t, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) put(t, &(double){(double)x[i]}, 1);
}

static void put_layers(const celslm_mapping *map, celslm_table *layers, celslm_table *weights) {
  for (int j = 0; j < map->to; j++) {
    const celslm_layer_mapping *l = &map->layers[j];
    size_t in = (size_t)l->map.inputs, out = (size_t)l->map.outputs;
    layer_row row = {.r2 = l->r2,
                     .edge_layer = (uint32_t)j,
                     .cloud_layer = (uint32_t)l->layer,
                     .first = (uint32_t)l->first,
                     .count = (uint32_t)l->count,
                     .outputs = (uint32_t)out,
                     .cloud_layers = (uint32_t)map->from,
                     .width = (uint32_t)map->width,
                     .source = (uint8_t)map->source};
    celslm_table_append(layers, &row);
    put(weights, l->map.mean_x, in);
    put(weights, l->map.mean_y, out);
    put(weights, l->map.weights, in * out);
    put_floats(weights, l->down, out * out);
    put_floats(weights, l->up, out * out);
    put(weights, l->tail, out + 1);
  }
}

bool celslm_mapping_write(const char *file, const celslm_mapping *map,
                          const celslm_similarity similarity[CELSLM_SOURCES], const char *pair,
                          const char *text, celslm_error *err) {
  celslm_results *r = celslm_results_create(file, err);
  if (!r) return false;
  bool ok = celslm_results_provenance(r, "pair", pair, err) &&
            celslm_results_provenance(r, "text", text, err);
  celslm_table *s = NULL, *layers = NULL, *weights = NULL;
  ok = ok &&
       (s = celslm_results_table(r, "similarity", "how alike the layers of the two models are",
                                 similarity_columns, LENGTH(similarity_columns), err)) &&
       (layers = celslm_results_table(r, "layers", "the map, one row per edge layer", layer_columns,
                                      LENGTH(layer_columns), err)) &&
       (weights = celslm_results_table(r, "weights", "the numbers of the map", weight_columns,
                                       LENGTH(weight_columns), err));
  for (int k = 0; ok && similarity && k < CELSLM_SOURCES; k++)
    for (int i = 0; i < similarity[k].from; i++)
      for (int j = 0; j < similarity[k].to; j++) {
        int at = i * similarity[k].to + j;
        similarity_row row = {similarity[k].cka[at], similarity[k].r2[at], (uint32_t)i, (uint32_t)j,
                              (uint8_t)k};
        celslm_table_append(s, &row);
      }
  if (ok) put_layers(map, layers, weights);
  return celslm_results_close(r, ok, false, err) && ok;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Whole numbers of one row of `layers`, in the order of the columns after `source`. */
enum { EDGE, CLOUD, FIRST, COUNT, OUTPUTS, FROM, WIDTH, FIELDS };
static const char *const field_names[FIELDS] = {"edge_layer", "cloud_layer",  "first", "count",
                                                "outputs",    "cloud_layers", "width"};

static bool sensible(double *const field[FIELDS], uint64_t rows) {
  for (uint64_t j = 0; j < rows; j++) {
    for (int k = 0; k < FIELDS; k++)
      if (!(field[k][j] >= 0 && field[k][j] <= 65536) || field[k][j] != (double)(int)field[k][j])
        return false;
    if (field[EDGE][j] != (double)j || field[COUNT][j] < 1 || field[WIDTH][j] < 1 ||
        field[OUTPUTS][j] < 2 || (int)field[OUTPUTS][j] % 2 != 0 ||
        field[FIRST][j] + field[COUNT][j] > field[FROM][j] || field[CLOUD][j] >= field[FROM][j] ||
        field[OUTPUTS][j] != field[OUTPUTS][0] || field[WIDTH][j] != field[WIDTH][0] ||
        field[FROM][j] != field[FROM][0])
      return false;
  }
  return rows > 0;
}

static double *copy(const double *x, size_t n) {
  double *p = celslm_alloc(n, sizeof *p);
  memcpy(p, x, n * sizeof *p);
  return p;
}

static float *copy_floats(const double *x, size_t n) {
  float *p = celslm_alloc(n, sizeof *p);
  for (size_t i = 0; i < n; i++) p[i] = (float)x[i];
  return p;
}

/* Doubles that the numbers of one layer take. */
static size_t numbers(size_t in, size_t out) {
  return in + out + in * out + 2 * out * out + out + 1;
}

static void take_layer(celslm_layer_mapping *l, const double *w, size_t in, size_t out) {
  l->map = (celslm_affine){.inputs = (int)in, .outputs = (int)out};
  l->map.mean_x = copy(w, in), w += in;
  l->map.mean_y = copy(w, out), w += out;
  l->map.weights = copy(w, in * out), w += in * out;
  l->down = copy_floats(w, out * out), w += out * out;
  l->up = copy_floats(w, out * out), w += out * out;
  l->tail = copy(w, out + 1);
  celslm_layer_mapping_pack(l);
}

bool celslm_mapping_read(const char *file, celslm_mapping *map, celslm_error *err) {
  celslm_reader *r = celslm_reader_open(file, err);
  double *field[FIELDS] = {NULL}, *source = NULL, *r2 = NULL, *weights = NULL;
  uint64_t rows = 0, values = 0;
  bool ok = r && celslm_reader_rows(r, "layers", &rows, err) &&
            celslm_reader_rows(r, "weights", &values, err) &&
            (source = celslm_reader_column(r, "layers", "source", err)) &&
            (r2 = celslm_reader_column(r, "layers", "r2", err)) &&
            (weights = celslm_reader_column(r, "weights", "value", err));
  for (int k = 0; ok && k < FIELDS; k++)
    ok = (field[k] = celslm_reader_column(r, "layers", field_names[k], err)) != NULL;
  uint64_t needed = 0;
  bool whole = ok && sensible(field, rows) && source[0] >= 0 && source[0] < CELSLM_SOURCES;
  for (uint64_t j = 0; whole && j < rows; j++)
    needed += numbers((size_t)(field[COUNT][j] * field[WIDTH][j]), (size_t)field[OUTPUTS][j]);
  if (ok && (!whole || needed != values))
    ok = celslm_fail(err, file, 0, "its tables do not make a map; see celslm quality --map");
  if (ok) {
    *map = (celslm_mapping){(celslm_source)source[0],
                            (int)field[FROM][0],
                            (int)rows,
                            (int)field[WIDTH][0],
                            (int)field[OUTPUTS][0] / 2,
                            celslm_alloc(rows, sizeof *map->layers)};
    const double *w = weights;
    for (uint64_t j = 0; j < rows; j++) {
      celslm_layer_mapping *l = &map->layers[j];
      size_t in = (size_t)(field[COUNT][j] * field[WIDTH][j]), out = (size_t)field[OUTPUTS][j];
      l->layer = (int)field[CLOUD][j], l->first = (int)field[FIRST][j];
      l->count = (int)field[COUNT][j], l->r2 = r2[j];
      take_layer(l, w, in, out);
      w += numbers(in, out);
    }
  }
  for (int k = 0; k < FIELDS; k++) free(field[k]);
  free(source), free(r2), free(weights);
  celslm_reader_close(r);
  return ok;
}
