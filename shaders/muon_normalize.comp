// muon_normalize: see core/abi/muon_normalize.h. A workgroup takes 4096 elements and adds all partials itself: invocation i adds partials
// i, i + 64, ... in order; then a tree over the 64.
// reads partials; updates u.
//! variant f32 f32 : -DT=f32
//! variant f32 bf16 : -DT=bf16
//! iterations p.partials / 64 + 30
//! grid std::min<uint64_t>(divide_up(p.count, 4096), 32768), divide_up(divide_up(p.count, 4096), 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/muon_normalize.h"
#include "core/abi/numeric.h"
#include "shaders/common/quad.glsl"
#include "shaders/common/tree.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { MuonNormalize p; };
layout(binding = 0) readonly buffer Partials { float partials[]; };
layout(binding = 1, QUAD_FORMAT(T)) uniform QUAD_IMAGE(T) u;

void main() {
  precise float own = 0.0;
  for (uint i = gl_LocalInvocationID.x; i < p.partials; i += 64u) own += partials[i];
  const float norm = sqrt(sum_workgroup(own));
  precise float by = 1.0 / (norm < 1e-7 ? 1e-7 : norm);  // a NaN stays one
  const uint first = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 1024u + gl_LocalInvocationID.x;
  for (uint turn = 0u; turn < 16u; ++turn) {
    const uint i = first + turn * 64u;
    if (i >= p.count / 4u) return;
    precise vec4 x = QUAD_LOAD(T, u, i) * by;
    QUAD_STORE(T, u, i, x);
  }
}
