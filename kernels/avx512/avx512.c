/* avx512.c - the avx512 level: the shared inner loops at this level's vector width. */
#include "kernels/simd/attention.h"
#include "kernels/simd/elementwise.h"
#include "kernels/simd/gemm.h"

const celslm_isa celslm_isa_avx512 = {
    .name = "avx512",
    .panel = 2 * VW,
    .rows = TILE_ROWS,
    .attn_rows = TILE_ROWS,
    .pack_rows = simd_pack_rows,
    .gemm_f32 = simd_gemm_f32,
    .gemv_f32 = simd_gemv_f32,
    .epilogue = simd_epilogue,
    .attention = simd_attention,
    .rmsnorm = simd_rmsnorm,
    .layernorm = simd_layernorm,
    .silu_gate = simd_silu_gate,
};
