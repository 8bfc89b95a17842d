// A workgroup of 64 invocations as 8 groups of 8 lanes, for any subgroup of at least 8: sums go by a butterfly over lanes 4, 2, 1 apart,
// so that their order does not depend on the device.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(local_size_x = 64) in;

const uint kLaneElements = 32u;  // of head_dim up to 256, over 8 lanes

uint lane() { return gl_SubgroupInvocationID & 7u; }
uint group() { return gl_SubgroupID * (gl_SubgroupSize >> 3) + (gl_SubgroupInvocationID >> 3); }

float sum_lanes(float x) {
  precise float sum = x + subgroupShuffleXor(x, 4u);
  sum = sum + subgroupShuffleXor(sum, 2u);
  sum = sum + subgroupShuffleXor(sum, 1u);
  return sum;
}

uint max_lanes(uint x) {
  x = max(x, subgroupShuffleXor(x, 4u));
  x = max(x, subgroupShuffleXor(x, 2u));
  return max(x, subgroupShuffleXor(x, 1u));
}

// With -DAMAX the shader has an operand amax and raises its element 0 to x of all lanes; the read before spares nearly all atomics.
#ifdef AMAX
#define AMAX_OPERAND(operand)                                             \
  layout(binding = operand) buffer AmaxWords { uint amax[]; };                 \
  void raise_amax(uint x) {                                               \
    const uint largest = max_lanes(x);                                    \
    if (lane() == 0u && largest > amax[0]) atomicMax(amax[0], largest);   \
  }
#else
#define AMAX_OPERAND(operand) void raise_amax(uint) {}
#endif
