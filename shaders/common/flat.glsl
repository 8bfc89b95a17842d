// Flat operands: workgroup (x, y) of 8 groups takes packs 1024 w ... 1024 w + 1023, w = flat_workgroup(); a lane takes 16, 64 apart.
// The grid lines split the count of workgroups into two dimensions of at most 32768.
uint flat_workgroup() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
uint flat_pack(uint turn) { return flat_workgroup() * 1024u + turn * 64u + group() * 8u + lane(); }
const uint kFlatTurns = 16u;

// v with the elements of pack i that stand at count and beyond made 0
Pack without_tail(Pack v, uint i, uint count) {
  if (i * 8u + 8u <= count) return v;
  const uint kept = count > i * 8u ? count - i * 8u : 0u;
  return Pack(mix(vec4(0.0), v.low, lessThan(uvec4(0, 1, 2, 3), uvec4(kept))),
              mix(vec4(0.0), v.high, lessThan(uvec4(4, 5, 6, 7), uvec4(kept))));
}
