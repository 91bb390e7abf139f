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

hid_t celslm_type_memory(celslm_type type); /* a constant of the library: do not close */
hid_t celslm_type_file(celslm_type type);

#endif
