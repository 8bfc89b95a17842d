// What a step's verdict and a tensor's share: one workgroup of 64 adds partial sums, one invocation decides. Invocation i adds partials
// i, i + 64, ... in order; then tree.glsl's order.
bool is_finite(float x) { return (float_bits(x) & 0x7f800000u) != 0x7f800000u; }

// 1 for a norm that is NaN, as elsewhere
float clip_coefficient(float grad_clip, float norm) {
  precise float clipped = grad_clip / (norm + 1e-6);
  return grad_clip != 0.0 && clipped < 1.0 ? clipped : 1.0;
}

// sum += operand[first] ... operand[first + count - 1]
#define ADD_PARTIALS(sum, operand, first, count)                                                  \
  {                                                                                               \
    precise float own = 0.0;                                                                      \
    for (uint i = gl_LocalInvocationID.x; i < (count); i += 64u) own += operand[(first) + i];     \
    barrier(); /* all have read what the sum before left */                                       \
    sum += sum_workgroup(own);                                                                    \
  }
