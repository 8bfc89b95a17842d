// 8 groups of 8 lanes: work() is called for each of them, and finds by group() and lane() where it stands. A group's lanes go through work()
// together; groups need not. Sums go by a butterfly over lanes 4, 2, 1 apart, so that their order does not depend on the device.
// With -DANY_WIDTH, for subgroups of any size, 8 invocations do the groups' work in turn and meet in shared memory; else 64 invocations do it
// at once, in subgroups of at least 8.
void work();

#ifdef ANY_WIDTH
layout(local_size_x = 8) in;

uint turn_of_group, exchange = 0u;
shared uint exchanged[2][8];  // by turns: others may still read what the exchange before left

uint lane() { return gl_LocalInvocationID.x; }
uint group() { return turn_of_group; }

// x of the lane whose number differs by the bits of mask
uint xor_lane(uint x, uint mask) {
  exchange ^= 1u;
  exchanged[exchange][lane()] = x;
  barrier();
  return exchanged[exchange][lane() ^ mask];
}
float xor_lane(float x, uint mask) { return uintBitsToFloat(xor_lane(floatBitsToUint(x), mask)); }

void main() {
  for (turn_of_group = 0u; turn_of_group < 8u; ++turn_of_group) work();
}
#else
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
layout(local_size_x = 64) in;

uint lane() { return gl_SubgroupInvocationID & 7u; }
uint group() { return gl_SubgroupID * (gl_SubgroupSize >> 3) + (gl_SubgroupInvocationID >> 3); }

uint xor_lane(uint x, uint mask) { return subgroupShuffleXor(x, mask); }
float xor_lane(float x, uint mask) { return subgroupShuffleXor(x, mask); }

void main() { work(); }
#endif

float sum_lanes(float x) {
  precise float sum = x + xor_lane(x, 4u);
  sum = sum + xor_lane(sum, 2u);
  sum = sum + xor_lane(sum, 1u);
  return sum;
}

uint max_lanes(uint x) {
  x = max(x, xor_lane(x, 4u));
  x = max(x, xor_lane(x, 2u));
  return max(x, xor_lane(x, 1u));
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
