// Tiles of 16 rows and 16 columns of e4m3 codes, made by 8 lanes: lane l holds rows l and l + 8, each as two times 8 columns; shuffles
// turn them into columns l and l + 8, so that every access has 16 bytes. Needs lanes.glsl and e4m3.glsl.

struct CodeTile {
  uvec2 a, b;  // row l, columns 0 to 7 and 8 to 15
  uvec2 c, d;  // row l + 8
};

// the codes of 8 elements under amax; a poisoned tensor is all NaN
uvec2 codes_of(Pack v, uint amax) {
  const int k = scale_exponent(amax);
  const uvec2 codes = uvec2(bytes_of(e4m3_codes(v.low, k)), bytes_of(e4m3_codes(v.high, k)));
  return is_poisoned(amax) ? uvec2(0x7f7f7f7fu) : codes;
}

// into q, whose rows have `columns` codes, at (row, column) of lane l; buffers of uvec4
#define STORE_CODES(q, tile, row, column, columns)                          \
  {                                                                         \
    q[((row) * (columns) + (column)) / 16u] = uvec4(tile.a, tile.b);        \
    q[(((row) + 8u) * (columns) + (column)) / 16u] = uvec4(tile.c, tile.d); \
  }
// into qt, whose rows have `rows` codes; first: the tile's first row
#define STORE_TRANSPOSED(qt, tile, first, column, rows)                                                                          \
  {                                                                                                                              \
    qt[(((column) + lane()) * (rows) + (first)) / 16u] = uvec4(transpose_bytes(tile.a), transpose_bytes(tile.c));                \
    qt[(((column) + 8u + lane()) * (rows) + (first)) / 16u] = uvec4(transpose_bytes(tile.b), transpose_bytes(tile.d));           \
  }

// The tile's place, with the grid's y and z along the rows: see the `//! grid` line of the shaders that include this.
uint tile_column() { return (gl_WorkGroupID.x * 8u + group()) * 16u; }
uint tile_row() { return (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * 16u; }
bool first_invocation() { return gl_WorkGroupID == uvec3(0u) && gl_LocalInvocationID.x == 0u; }
