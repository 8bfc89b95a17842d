// attention: see core/abi/attention.h and shaders/common/attention_tile.glsl. Software Vulkan's, by its subgroups of 8; head_dim up to 128.
// reads qkv, positions; writes out, lse.
//! variant f32 i32 f32 f32 : -DT=f32
//! variant bf16 i32 bf16 f32 : -DT=bf16
//! subgroups 8
//! when p.head_dim > 64 && p.head_dim <= 128
//! specialize 0 p.head_dim / 8
//! iterations 9 * ((p.sequence_length / 64 + 2) * (p.head_dim / 8 + 11ull) + 1) + 1
//! grid divide_up(p.sequence_length, 8), p.q_heads, p.batch
#version 460
#extension GL_GOOGLE_include_directive : require
#define CHUNKS 2
#include "shaders/common/attention_tile.glsl"
