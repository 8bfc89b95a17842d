// What the two halves of the attention gradient share. Needs p, lane_elements.glsl, element.glsl.
layout(binding = 0) readonly buffer Qkv { ELEMENT(T) qkv[]; };
layout(binding = 1) readonly buffer Positions { int positions[]; };
layout(binding = 2) readonly buffer Dout { ELEMENT(T) dout[]; };
layout(binding = 3) readonly buffer Lse { float lse[]; };
layout(binding = 4) readonly buffer Delta { float delta[]; };
layout(binding = 5) writeonly buffer Dqkv { ELEMENT(T) dqkv[]; };
#include "shaders/common/attention.glsl"

struct Weights {
  float p, ds;  // softmax weight of a key for a query, and the gradient of its score
};

#define ADD_PRODUCTS(j, from)                                                                                                            \
  if (present(from + j)) {                                                                                                               \
    score += FROM_ELEMENT(T, qkv[q_at(row, head) + element(from + j)]) * FROM_ELEMENT(T, qkv[k_at(key, kv_head) + element(from + j)]);  \
    dp += FROM_ELEMENT(T, dout[out_at(row, head) + element(from + j)]) * FROM_ELEMENT(T, qkv[v_at(key, kv_head) + element(from + j)]);  \
  }

Weights weights_of(uint sequence, uint row, uint t, uint head, uint key, uint kv_head) {
  precise float score = 0.0, dp = 0.0;
  EACH_ELEMENT(ADD_PRODUCTS)
  const uint i = lse_at(sequence, head, t);
  precise float weight = exp_f32(sum_lanes(score) * p.scale - lse[i]);
  precise float ds = weight * (sum_lanes(dp) - delta[i]);
  return Weights(weight, ds);
}
