/* avx2.c - the avx2 level: the shared inner loops at this level's vector width. */
#include "kernels/codes.h"
#include "kernels/simd/attention.h"
#include "kernels/simd/elementwise.h"
#include "kernels/simd/gemm.h"
#include "kernels/simd/gemm_i8.h"
#include "kernels/simd/pack.h"
#include "kernels/simd/widen.h"

const celslm_isa celslm_isa_avx2 = {
    .name = "avx2",
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
