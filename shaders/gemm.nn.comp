// gemm, form nn: see core/abi/gemm.h and shaders/common/gemm_tile.glsl. Software Vulkan's, by its subgroups of 8.
// reads a, b, bias, scale_a, scale_b, and c when it accumulates; writes c. Each element's products are added in the order of k.
//! variant f32 f32 - - - f32 : -DA=f32 -DC=f32
//! variant bf16 bf16 - - - bf16 : -DA=bf16 -DC=bf16
//! variant bf16 bf16 - - - f32 : -DA=bf16 -DC=f32
//! subgroups 8
//! when p.form == kGemmNn && p.lda % 8 == 0 && p.ldb % 8 == 0 && p.ldc % 8 == 0
//! specialize 0 p.accumulate
//! specialize 1 p.k % 8
//! iterations p.k / 8 + 2
//! grid divide_up(p.m, 16), divide_up(p.n, 64)
#version 460
#define FORM 1
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/gemm_tile.glsl"
