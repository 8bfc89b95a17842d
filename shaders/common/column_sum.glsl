// Sums over the rows of a matrix: lane l of each of the 8 groups owns a pack of 8 columns, group g adds rows g, g + 8, ... in order, and then
// the groups' sums are added in the order of the groups.
// Needs lanes.glsl and pack.glsl.
shared vec4 column_partial[8][16];

// v: the sum of this group's rows; the result is good in the last group
Pack sum_groups(Pack v) {
  column_partial[group()][2u * lane()] = v.low;
  column_partial[group()][2u * lane() + 1u] = v.high;
  barrier();
  precise vec4 low = vec4(0.0), high = vec4(0.0);
  for (uint g = 0u; g < 8u; ++g) {
    low += column_partial[g][2u * lane()];
    high += column_partial[g][2u * lane() + 1u];
  }
  return Pack(low, high);
}

bool last_group() { return group() == 7u; }
uint column_pack() { return gl_WorkGroupID.x * 8u + lane(); }
