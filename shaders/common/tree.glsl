// The sum of a value over a workgroup of 64 invocations: neighbours first, then pairs of pairs; the same order on every device.
shared float tree_partial[64];

float sum_workgroup(float x) {
  const uint i = gl_LocalInvocationID.x;
  tree_partial[i] = x;
  for (uint step = 1u; step < 64u; step *= 2u) {
    barrier();
    if ((i & (2u * step - 1u)) == 0u) {
      precise float sum = tree_partial[i] + tree_partial[i + step];
      tree_partial[i] = sum;
    }
  }
  barrier();
  return tree_partial[0];
}
