/* avx512.c - the avx512 level: the shared inner loops at this level's vector width. */
#include "kernels/codes.h"
#include "kernels/simd/attention.h"
#include "kernels/simd/elementwise.h"
#include "kernels/simd/gemm.h"
#include "kernels/simd/gemm_i8.h"
#include "kernels/simd/pack.h"
#include "kernels/simd/widen.h"

const celslm_isa celslm_isa_avx512 = {
    .name = "avx512",
    .panel = 2 * VW,
    .rows = TILE_ROWS,
    .attn_rows = TILE_ROWS,
    .narrow_rows = NARROW_ROWS,
    .pack_rows = simd_pack_rows,
    .gemm_f32 = simd_gemm_f32,
    .gemv_f32 = simd_gemv_f32,
    .pack_rows_bf16 = simd_pack_rows_bf16,
    .words_bf16 = 2,
    .gemm_bf16 = simd_gemm_bf16,
    .gemv_bf16 = simd_gemv_bf16,
    .quantise = simd_quantise,
    .gemm_i8 = simd_gemm_i8,
    .epilogue = simd_epilogue,
    .attention = simd_attention,
    .widen_f16 = simd_widen_f16,
    .narrow_f16 = simd_narrow_f16,
    .widen_bf16 = simd_widen_bf16,
    .widen_keys = simd_widen_keys,
    .widen_values = simd_widen_values,
    .narrow_bf16 = simd_narrow_bf16,
    .narrow_i8 = simd_narrow_i8,
    .fill_panel = simd_fill_panel,
    .rmsnorm = simd_rmsnorm,
    .layernorm = simd_layernorm,
    .silu_gate = simd_silu_gate,
    .codes = CELSLM_CODES,
};

/* With the int8 dot products of AVX512-VNNI. */
const celslm_isa celslm_isa_avx512_vnni = {
    .name = "avx512",
    .panel = 2 * VW,
    .rows = TILE_ROWS,
    .attn_rows = TILE_ROWS,
    .narrow_rows = NARROW_ROWS,
    .pack_rows = simd_pack_rows,
    .gemm_f32 = simd_gemm_f32,
    .gemv_f32 = simd_gemv_f32,
    .pack_rows_bf16 = simd_pack_rows_bf16,
    .words_bf16 = 2,
    .gemm_bf16 = simd_gemm_bf16,
    .gemv_bf16 = simd_gemv_bf16,
    .quantise = simd_quantise,
    .gemm_i8 = dot_gemm_i8,
    .epilogue = simd_epilogue,
    .attention = simd_attention,
    .widen_f16 = simd_widen_f16,
    .narrow_f16 = simd_narrow_f16,
    .widen_bf16 = simd_widen_bf16,
    .widen_keys = simd_widen_keys,
    .widen_values = simd_widen_values,
    .narrow_bf16 = simd_narrow_bf16,
    .narrow_i8 = simd_narrow_i8,
    .fill_panel = simd_fill_panel,
    .rmsnorm = simd_rmsnorm,
    .layernorm = simd_layernorm,
    .silu_gate = simd_silu_gate,
    .codes = CELSLM_CODES,
};

/* And with the bf16 ones of AVX512-BF16, where they are worth it (dispatch.c). */
static void dot_pack_rows_bf16(int rows, int64_t k, const float *x, int64_t ldx, float *a) {
  pack(KIND_DOT, rows, k, x, ldx, a);
}

static void dot_gemm_bf16(int rows, int64_t steps, const float *a, const float *b, float *c,
                          int64_t ldc, bool load, const celslm_ahead *next) {
  gemm_rows(KIND_DOT, rows, steps, a, b, c, ldc, load, next);
}

static void dot_gemv_bf16(int64_t panels, int64_t steps, const float *x, const float *b, float *y,
                          bool load) {
  gemv(KIND_DOT, panels, steps, x, b, y, load);
}

const celslm_isa celslm_isa_avx512_dot = {
    .name = "avx512",
    .panel = 2 * VW,
    .rows = TILE_ROWS,
    .attn_rows = TILE_ROWS,
    .narrow_rows = NARROW_ROWS,
    .pack_rows = simd_pack_rows,
    .gemm_f32 = simd_gemm_f32,
    .gemv_f32 = simd_gemv_f32,
    .pack_rows_bf16 = dot_pack_rows_bf16,
    .words_bf16 = 1,
    .gemm_bf16 = dot_gemm_bf16,
    .gemv_bf16 = dot_gemv_bf16,
    .quantise = simd_quantise,
    .gemm_i8 = dot_gemm_i8,
    .epilogue = simd_epilogue,
    .attention = simd_attention,
    .widen_f16 = simd_widen_f16,
    .narrow_f16 = simd_narrow_f16,
    .widen_bf16 = simd_widen_bf16,
    .widen_keys = simd_widen_keys,
    .widen_values = simd_widen_values,
    .narrow_bf16 = simd_narrow_bf16,
    .narrow_i8 = simd_narrow_i8,
    .fill_panel = simd_fill_panel,
    .rmsnorm = simd_rmsnorm,
    .layernorm = simd_layernorm,
    .silu_gate = simd_silu_gate,
    .codes = CELSLM_CODES,
};
