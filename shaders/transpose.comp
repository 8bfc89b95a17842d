// transpose: see core/abi/transpose.h. 8 lanes take a tile of 16 rows and 16 columns.
// reads q (rows, columns); writes qt (columns, rows). No sums.
//! variant e4m3 e4m3 :
//! subgroups 8 64
//! grid divide_up(p.columns, 128), std::min(p.rows / 16, 32768u), divide_up(p.rows / 16, 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/transpose.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/e4m3.glsl"
#include "shaders/common/code_tile.glsl"

layout(push_constant) uniform Parameters { Transpose p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer q;
layout(binding = 1) writeonly buffer Transposed { uvec4 qt[]; };

void work() {
  const uint column = tile_column(), first = tile_row();
  if (column >= p.columns || first >= p.rows) return;
  const uint row = first + lane();
  const uvec4 upper = imageLoad(q, int((row * p.columns + column) / 16u));
  const uvec4 lower = imageLoad(q, int(((row + 8u) * p.columns + column) / 16u));
  const CodeTile tile = CodeTile(upper.xy, upper.zw, lower.xy, lower.zw);
  STORE_TRANSPOSED(qt, tile, first, column, p.rows)
}
