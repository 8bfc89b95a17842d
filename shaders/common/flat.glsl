// Flat operands: workgroup (x, y) of 8 groups takes packs 1024 w ... 1024 w + 1023, w = flat_workgroup(); a lane takes 16, 64 apart.
// The grid lines split the count of workgroups into two dimensions of at most 32768.
uint flat_workgroup() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
uint flat_pack(uint turn) { return flat_workgroup() * 1024u + turn * 64u + group() * 8u + lane(); }
const uint kFlatTurns = 16u;
