/* columns.h - how a row's struct becomes columns. Internal to sim/record. */
#ifndef CELSLM_RECORD_COLUMNS_H
#define CELSLM_RECORD_COLUMNS_H

#include "record/record.h"

/* clang-format off */
#define TYPE_OF(field) \
  _Generic((field), double: CELSLM_F64, int64_t: CELSLM_I64, uint32_t: CELSLM_U32, uint8_t: CELSLM_U8)
/* clang-format on */

/* A column is named as its field and has its type. */
#define NAMED(row, field, units, names, description)                                               \
  { #field, units, description, TYPE_OF(((row *)0)->field), offsetof(row, field), names }
#define COLUMN(row, field, units, description) NAMED(row, field, units, NULL, description)
#define LENGTH(columns)                        (sizeof(columns) / sizeof *(columns))

#endif
