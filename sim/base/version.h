/* version.h - which program this is. Its only file that changes with every commit. */
#ifndef CELSLM_BASE_VERSION_H
#define CELSLM_BASE_VERSION_H

extern const char celslm_version[]; /* "0.1.0" */
extern const char celslm_commit[];  /* 12 hexadecimal digits, or "unknown" */
extern const char celslm_home[];    /* where its scenarios, platforms and tools are */

#endif
