// cross_entropy: see core/abi/cross_entropy.h. 8 lanes a row, a pack of 8 columns each.
// reads targets (rows), scalars; updates logits (rows, columns); writes loss (rows).
// Sum of exp(logit - max): lane l adds packs l, l + 8, ... in order, each as ((0 + 4) + (1 + 5)) + ((2 + 6) + (3 + 7)); then a butterfly.
//! variant i32 u32 f32 f32 : -DT=f32
//! variant i32 u32 bf16 f32 : -DT=bf16
//! subgroups 8 64
//! iterations 3 * (p.columns / 64 + 2) + 4
//! grid divide_up(p.rows, 8)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/cross_entropy.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/aliased.glsl"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"

layout(push_constant) uniform Parameters { CrossEntropy p; };
layout(binding = 0) readonly buffer Targets { int targets[]; };
layout(binding = 1) readonly buffer Scalars { StepScalars scalars; };
ALIASED layout(binding = 18, rgba32ui) uniform uimageBuffer logits;
ALIASED layout(binding = 2) writeonly buffer Gradient { uvec4 gradient[]; };  // in place of the logits; a lane writes what it alone has read
layout(binding = 3) writeonly buffer Loss { float loss[]; };

// columns 8 i ... 8 i + 7; those past the vocabulary are -inf
Pack load_logits(uint row, uint i) {
  Pack v = LOAD(T, logits, row * (p.columns / 8u) + i);
  if (8u * i + 8u > p.vocabulary) {
    const vec4 outside = vec4(bits_float(0xff800000u));
    const uvec4 column = 8u * i + uvec4(0u, 1u, 2u, 3u);
    v.low = mix(v.low, outside, greaterThanEqual(column, uvec4(p.vocabulary)));
    v.high = mix(v.high, outside, greaterThanEqual(column + 4u, uvec4(p.vocabulary)));
  }
  return v;
}

vec4 exp4(vec4 x) { return vec4(exp_f32(x.x), exp_f32(x.y), exp_f32(x.z), exp_f32(x.w)); }

float largest(float a, float b) { return a != a || a > b ? a : b; }  // NaN stays
float largest(vec4 v) { return largest(largest(v.x, v.y), largest(v.z, v.w)); }

float row_max(uint row) {
  float top = bits_float(0xff800000u);
  for (uint i = lane(); i < p.columns / 8u; i += 8u) {
    const Pack v = load_logits(row, i);
    top = largest(largest(largest(v.low), largest(v.high)), top);
  }
  for (uint step = 4u; step > 0u; step /= 2u) top = largest(top, xor_lane(top, step));
  return top;
}

float row_log_sum(uint row, float top) {
  precise float sum = 0.0;
  for (uint i = lane(); i < p.columns / 8u; i += 8u) {
    const Pack v = load_logits(row, i);
    sum += sum_of(Pack(exp4(v.low - top), exp4(v.high - top)));
  }
  return top + log_f32(sum_lanes(sum));
}

void write_gradient(uint row, int target, float lse) {
  precise float factor = 1.0 + 2.0 * p.z_loss * lse;
  for (uint i = lane(); i < p.columns / 8u; i += 8u) {
    const Pack v = load_logits(row, i);
    const ivec4 column = int(8u * i) + ivec4(0, 1, 2, 3);
    precise vec4 low = (exp4(v.low - lse) * factor - vec4(equal(column, ivec4(target)))) * scalars.inverse_targets;
    precise vec4 high = (exp4(v.high - lse) * factor - vec4(equal(column + 4, ivec4(target)))) * scalars.inverse_targets;
    if (uint(target) >= p.vocabulary) low = high = vec4(target < 0 ? 0.0 : bits_float(0x7fc00000u));
    low = mix(low, vec4(0.0), greaterThanEqual(column, ivec4(p.vocabulary)));
    high = mix(high, vec4(0.0), greaterThanEqual(column + 4, ivec4(p.vocabulary)));
    STORE(T, gradient, row * (p.columns / 8u) + i, Pack(low, high));
  }
}

float logit_of(uint row, uint target) {
  const Pack v = load_logits(row, target / 8u);
  return (target & 4u) == 0u ? v.low[target & 3u] : v.high[target & 3u];
}

void work() {
  const uint row = gl_WorkGroupID.x * 8u + group();
  if (row >= p.rows) return;
  const int target = targets[row];
  const bool inside = uint(target) < p.vocabulary;
  const float logit = inside ? logit_of(row, uint(target)) : bits_float(0x7fc00000u);  // before any lane overwrites it
  const float lse = row_log_sum(row, row_max(row));
  if (lane() == 0u) {
    precise float value = target < 0 ? 0.0 : lse - logit;
    loss[row] = value;
  }
  if (p.write_gradient != 0u) write_gradient(row, target, lse);
}
