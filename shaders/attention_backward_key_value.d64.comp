// attention_backward_key_value: see core/abi/attention_backward.h and shaders/common/attention_backward_key_value_tile.glsl. Software Vulkan's, by
// its subgroups of 8; head_dim up to 64. reads qkv, positions, dout, lse, delta; writes the k and v parts of dqkv.
//! variant f32 i32 f32 f32 f32 f32 : -DT=f32
//! variant bf16 i32 bf16 f32 f32 bf16 : -DT=bf16
//! subgroups 8
//! when p.head_dim <= 64
//! specialize 0 p.head_dim / 8
//! iterations 9 * (p.q_heads / p.kv_heads * ((p.sequence_length / 64 + 2) * (p.head_dim / 4 + 12ull) + 1 + 1) + 1) + 1
//! grid divide_up(p.sequence_length, 8), p.kv_heads, p.batch
#version 460
#extension GL_GOOGLE_include_directive : require
#define CHUNKS 1
#include "shaders/common/attention_backward_key_value_tile.glsl"
