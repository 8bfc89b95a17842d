// apollo_scale: see core/abi/apollo_scale.h, the order of its sums too. One workgroup of 64 a row.
// reads r (rows, rank), update; writes out; updates m and v.
//! variant f32 u32 f32 f32 f32 : -DT=f32
//! variant f32 u32 bf16 f32 f32 : -DT=bf16
//! iterations p.rank / 64 * 20 + 60
//! grid std::min<uint64_t>(p.rows, 32768), divide_up(p.rows, 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/apollo_scale.h"
#include "core/abi/adamw_corrections.h"
#include "shaders/common/element.glsl"
#include "shaders/common/tree.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { ApolloScale p; };
layout(binding = 0) readonly buffer R { float r[]; };
layout(binding = 1) readonly buffer Update { UpdateScalars update; };
layout(binding = 2) writeonly buffer Out { ELEMENT(T) result[]; };
layout(binding = 3) buffer First { float first[]; };
layout(binding = 4) buffer Second { float second[]; };

void main() {
  const uint row = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x, lane = gl_LocalInvocationID.x;
  if (row >= p.rows) return;
  precise const float by = p.by * update.coefficient;
  precise float n_sum = 0.0, g_sum = 0.0;
  for (uint c = lane; c < p.rank; c += 64u) {
    const uint i = row * p.rank + c, at = p.first_row * p.rank + i;
    precise float g = by * r[i];
    precise float m = p.beta1 * first[at] + p.one_minus_beta1 * g;
    precise float v = p.beta2 * second[at] + (p.one_minus_beta2 * g) * g;
    precise float n = m / (sqrt(v) + p.epsilon);
    if (update.skipped == 0u) {
      first[at] = m;
      second[at] = v;
    }
    if (p.form == kApolloDirection) result[i] = TO_ELEMENT(T, n);
    n_sum = n_sum + n * n;
    g_sum = g_sum + g * g;
  }
  if (p.form == kApolloDirection) return;
  const float n_all = sum_workgroup(n_sum);
  barrier();
  const float g_all = sum_workgroup(g_sum);
  if (lane != 0u) return;
  precise float factor = sqrt(n_all) / (sqrt(g_all) + 1e-8);
  result[row] = TO_ELEMENT(T, p.form == kApolloChannel ? factor : n_all);
  if (p.form == kApolloTensor) result[p.rows + row] = TO_ELEMENT(T, g_all);
}
