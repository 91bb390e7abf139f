/* rows.h - published end-to-end measurements of serving: rows of a CSV table with the columns
 *
 *   device,count,TP,model,params,dtype,prompt_tokens,output_tokens,concurrency,ttft_ms,itl_ms,
 *   prefill_tok_s,decode_tok_s,power_w,source,engine,table_id,note
 *
 * An empty cell is "not published"; so is a column that is not there, but for device, model, dtype,
 * decode_tok_s and engine. Rows that lack a name are kept, with their problem. decode_tok_s is the
 * rate of output tokens over all requests, but publishers mean different things by it; which one is
 * told by the note (celslm_row_kind). */
#ifndef CELSLM_COST_ROWS_H
#define CELSLM_COST_ROWS_H

#include "cost/csv.h"

#include <stdint.h>

typedef enum celslm_row_kind {
  CELSLM_ROW_STEP,  /* requests / time of a decode step, prompts apart: most rows */
  CELSLM_ROW_EMPTY, /* as STEP, but from an empty context (llama-bench: tg runs apart from pp) */
  CELSLM_ROW_E2E,   /* output tokens / time from the first arrival: "prefill included", "e2e" */
  CELSLM_ROW_LOOP,  /* output tokens per second with always so many requests: "closed loop",
                       saturated */
  CELSLM_ROW_TPOT,  /* requests / time per output token, other prompts between: "TPOT", "steady" */
  CELSLM_ROW_KINDS
} celslm_row_kind;
const char *celslm_row_kind_name(celslm_row_kind k);

typedef struct celslm_row {
  const char *device, *model, *dtype, *engine, *table, *note; /* of the CSV table */
  double count, tp, params;
  double prompt, output;  /* tokens; NaN: not published */
  double concurrency;     /* INFINITY: saturated ("max", "poisson ...") */
  double prefill, decode; /* tokens/s; NaN: not published */
  double power;           /* W, all devices; NaN */
  const char
      *problem; /* why it cannot be priced ("no engine"); NULL: nothing is known against it */
  bool anomaly; /* the note warns of the prefill rate */
  bool wall;    /* the power is of the whole machine */
  celslm_row_kind kind;
  int line;
  uint32_t key; /* of the row's cells: by it profiles remember what they were fitted to */
} celslm_row;

typedef struct celslm_rows {
  celslm_csv *csv;
  celslm_row *at;
  int n;
} celslm_rows;

/* NULL on failure. */
celslm_rows *celslm_rows_open(const char *file, celslm_error *err);
void celslm_rows_close(celslm_rows *r); /* NULL is allowed */

/* Whether the rule puts the row into fits: every row with an even key. */
bool celslm_row_in_fit(const celslm_row *r);

/* Bits per weight of a number format, scales included, and of the LM head in files of this format:
 * q4_k_m 4.85 and 6.56, awq-int4 4.25 and 16 ... False: not known, and no number in it to go by. */
bool celslm_format_bits(const char *dtype, double *bits, double *head_bits);

#endif
