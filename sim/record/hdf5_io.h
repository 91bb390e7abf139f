/* hdf5_io.h - what hdf5_write.c and hdf5_read.c share, and nobody else includes: the library's
 * set-up, the words for its failures, and how a file of ours is marked.
 *
 * The library prints nothing and registers no handler at exit: every handle has one owner, which
 * closes it, so that a forked child or a full disk cannot make the library act behind our back. */
#ifndef CELSLM_RECORD_HDF5_IO_H
#define CELSLM_RECORD_HDF5_IO_H

#include "record/record.h"

#include <hdf5.h>

#define CELSLM_FORMAT         "celslm results"
#define CELSLM_FORMAT_STUDY   "celslm study"
#define CELSLM_FORMAT_VERSION 1
#define CELSLM_PROVENANCE     "provenance"
#define CELSLM_CHUNK_ROWS     16384

void celslm_hdf5_start(void);
/* Why the last HDF5 call failed, as the operating system says it, or `otherwise`. */
const char *celslm_hdf5_reason(char *text, size_t size, const char *otherwise);
/* A fresh type for UTF-8 strings of any length; close with H5Tclose. */
hid_t celslm_hdf5_string(void);
/* The chunk cache that fits our access pattern: one chunk of one column. A fresh access list. */
hid_t celslm_hdf5_column_access(celslm_type type);

/* An attribute holding `n` strings, or one string if `n` is -1. */
bool celslm_hdf5_write_strings(hid_t object, const char *name, const char *const *strings, long n);
/* A new group that remembers the order of its members; negative on failure. */
hid_t celslm_hdf5_group(hid_t where, const char *name, const char *description);

/* A results file of another format (study.h); with virtual tables it needs HDF5 1.10 to be read. */
celslm_results *celslm_results_create_as(const char *file, const char *format, bool virtual_tables,
                                         celslm_error *err);
celslm_reader *celslm_reader_open_as(const char *file, const char *format, celslm_error *err);
hid_t celslm_reader_hdf5(celslm_reader *r);
hid_t celslm_results_hdf5(celslm_results *r);
/* Says that `what` cannot be written, and why; false. */
bool celslm_results_failed(celslm_results *r, const char *what, celslm_error *err);

hid_t celslm_type_memory(celslm_type type); /* a constant of the library: do not close */
hid_t celslm_type_file(celslm_type type);

#endif
