/* corpus.h - the texts that quality is measured on: the King James text by books (Debian's
 * bible-kjv), some of which no model was trained on, and another kind of text. Tokens are bytes. */
#ifndef CELSLM_SHARE_CORPUS_H
#define CELSLM_SHARE_CORPUS_H

#include "base/error.h"

#include <stdint.h>

/* The books that tools/train.c holds out by default. */
#define CELSLM_HELD_OUT_BOOKS "Ruth,Est,Eccl,Dan,Jonah,Acts,Jas"

typedef struct celslm_text {
  int32_t *tokens;
  int64_t n;
} celslm_text;

/* Lines "BOOK<tab>text": those of the listed books in one text, all others in the other. `file`
 * NULL: what the program `bible` prints. */
bool celslm_corpus_read(const char *file, const char *held_out, celslm_text *known,
                        celslm_text *unknown, celslm_error *err);
/* A file's bytes. */
bool celslm_text_read(const char *file, celslm_text *text, celslm_error *err);
/* Leaves out of `t` the tokens that `known` never has: a model cannot expect them. */
void celslm_text_keep(celslm_text *t, const celslm_text *known);
void celslm_text_free(celslm_text *t);
/* Piece i of `pieces` of `length` tokens, evenly spread, and where it begins; NULL if the text is
 * too short. */
int64_t celslm_text_piece_begin(const celslm_text *t, int64_t length, int i, int pieces);
const int32_t *celslm_text_piece(const celslm_text *t, int64_t length, int i, int pieces);

#endif
