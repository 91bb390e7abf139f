#include "base/version.h"

const char celslm_version[] = CELSLM_VERSION;
const char celslm_commit[] = CELSLM_COMMIT;
const char celslm_home[] = CELSLM_SOURCE_DIR;
