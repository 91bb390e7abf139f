/* hook.c - owns the hook and the counting switch. */
#include "kernels/hook.h"

#include "kernels/mem.h"

static celslm_hook *hook;
static void *hook_user;
static bool counting;

void celslm_set_hook(celslm_hook *h, void *user) {
  hook = h;
  hook_user = user;
}

void celslm_set_counting(bool on) {
  counting = on;
}
bool celslm_counting(void) {
  return counting;
}

celslm_span celslm_span_begin(void) {
  celslm_span s = {.on = hook != NULL};
  if (s.on) clock_gettime(CLOCK_MONOTONIC, &s.start);
  return s;
}

void celslm_span_end(celslm_span span, celslm_report *r) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  r->seconds =
      (double)(now.tv_sec - span.start.tv_sec) + 1e-9 * (double)(now.tv_nsec - span.start.tv_nsec);
  hook(hook_user, r);
}

const char *celslm_kop_name(enum celslm_kop op) {
  static const char *const names[CELSLM_KOP_COUNT] = {
      [CELSLM_KOP_GEMM] = "gemm",
      [CELSLM_KOP_ATTN_PREFILL] = "attn_prefill",
      [CELSLM_KOP_ATTN_DECODE] = "attn_decode",
      [CELSLM_KOP_ATTN_SHARED] = "attn_shared",
      [CELSLM_KOP_ATTN_MERGE] = "attn_merge",
      [CELSLM_KOP_ATTN_MERGED] = "attn_merged",
      [CELSLM_KOP_KV_APPEND] = "kv_append",
      [CELSLM_KOP_RMSNORM] = "rmsnorm",
      [CELSLM_KOP_LAYERNORM] = "layernorm",
      [CELSLM_KOP_ROPE] = "rope",
      [CELSLM_KOP_SILU_GATE] = "silu_gate",
      [CELSLM_KOP_EMBED] = "embed",
      [CELSLM_KOP_SAMPLE] = "sample",
      [CELSLM_KOP_CODEC_ENCODE] = "codec_encode",
      [CELSLM_KOP_CODEC_DECODE] = "codec_decode",
  };
  return op >= 0 && op < CELSLM_KOP_COUNT ? names[op] : "unknown";
}
