// The body of the two adamw shaders. With WRITES it stores to second views (new_first, ...), buffers, else to the images that it reads: slower
// in software, but for operands over a storage buffer's range.
#include "core/abi/adamw.h"
#include "core/abi/numeric.h"
#include "core/abi/adamw_corrections.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/aliased.glsl"
#include "shaders/common/quad.glsl"
#include "shaders/common/update_words.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { AdamW p; };
layout(binding = 0, QUAD_FORMAT(G)) uniform readonly QUAD_IMAGE(G) gradient;
#ifdef WRITES
#define IMAGE_BINDING(operand) 16 + operand
#define PUT(T, name, i, v) QUAD_WRITE(T, new_##name, i, v)
#define PUT_STOCHASTIC(T, name, i, v, random) QUAD_WRITE_STOCHASTIC(T, new_##name, i, v, random)
ALIASED layout(binding = 2) writeonly buffer NewParameter { QUAD_CODES(P) new_parameter[]; };
ALIASED layout(binding = 3) writeonly buffer NewFirst { QUAD_CODES(M) new_first[]; };
ALIASED layout(binding = 4) writeonly buffer NewSecond { QUAD_CODES(V) new_second[]; };
#ifdef MASTER
ALIASED layout(binding = 5) writeonly buffer NewMaster { vec4 new_master[]; };
#endif
#else
#define IMAGE_BINDING(operand) operand
#define PUT(T, name, i, v) QUAD_STORE(T, name, i, v)
#define PUT_STOCHASTIC(T, name, i, v, random) QUAD_STORE_STOCHASTIC(T, name, i, v, random)
#endif
ALIASED layout(binding = IMAGE_BINDING(2), QUAD_FORMAT(P)) uniform QUAD_IMAGE(P) parameter;
ALIASED layout(binding = IMAGE_BINDING(3), QUAD_FORMAT(M)) uniform QUAD_IMAGE(M) first;
ALIASED layout(binding = IMAGE_BINDING(4), QUAD_FORMAT(V)) uniform QUAD_IMAGE(V) second;
#ifdef MASTER
ALIASED layout(binding = IMAGE_BINDING(5), rgba32f) uniform imageBuffer master;
#endif

UpdateScalars update;

// the random words of elements 4 i ... 4 i + 3
uvec4 random_words(uint i, uint stream) {
  const StoredBlock at = stored_block(p.segments, first_block(p.segments, update.rank) + i);
  const PhiloxWords w = philox(update.seed_low, update.seed_high, at.block, at.tensor, update.step, stream);
  return uvec4(w.word[0], w.word[1], w.word[2], w.word[3]);
}

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x;
  if (4u * i >= p.count) return;
  update = words_of_update(p.by_segment, p.segments, first_block(p.segments, update_words[8]) + i);
  if (update.skipped != 0u) return;
  precise vec4 g = QUAD_LOAD(G, gradient, i) * update.coefficient;
#ifdef MASTER
  precise vec4 w = imageLoad(master, int(i));
#else
  precise vec4 w = QUAD_LOAD(P, parameter, i);
#endif
  w = w - update.learning_rate * p.decay * w;
  precise vec4 m = p.beta1 * QUAD_LOAD(M, first, i) + p.one_minus_beta1 * g;
  precise vec4 v = p.beta2 * QUAD_LOAD(V, second, i) + p.one_minus_beta2 * g * g;
  precise vec4 denominator = sqrt(v) / update.correction2_root + p.epsilon;
  w = w - update.learning_rate * (m / update.correction1) / denominator;

  PUT_STOCHASTIC(M, first, i, m, random_words(i, 1u));
  PUT_STOCHASTIC(V, second, i, v, random_words(i, 2u));
#ifdef MASTER
  PUT(f32, master, i, w);
  PUT(P, parameter, i, w);
#else
  PUT_STOCHASTIC(P, parameter, i, w, random_words(i, 0u));
#endif
}
