// random_signs: see core/abi/random_signs.h. One invocation 4 elements of P: one Philox block.
// reads update; writes signs.
//! variant u32 f32 : -DT=f32
//! variant u32 bf16 : -DT=bf16
//! iterations 100
//! grid std::min<uint64_t>(divide_up(p.rank * p.size, 4 * 64), 256), divide_up(divide_up(p.rank * p.size, 4), 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/random_signs.h"
#include "core/abi/adamw_corrections.h"
#include "shaders/common/element.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { RandomSigns p; };
layout(binding = 0) readonly buffer Update { UpdateScalars update; };
layout(binding = 1) writeonly buffer Signs { ELEMENT(T) signs[]; };

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x, count = p.rank * p.size;
  if (i >= (count + 3u) / 4u) return;
  const uint turn = (max(update.updates, 1u) - 1u) / p.every;
  const PhiloxWords w = philox(update.seed_low, update.seed_high, i, p.tensor, turn, 5u);
  for (uint k = 0u; k < 4u; ++k) {
    const uint e = 4u * i + k, row = e / p.size, column = e % p.size;
    if (e >= count) return;
    const float x = column >= p.true_size ? 0.0 : (w.word[k] & 1u) != 0u ? -1.0 : 1.0;
    signs[p.transposed != 0u ? column * p.rank + row : e] = TO_ELEMENT(T, x);
  }
}
