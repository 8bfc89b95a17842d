// quantize: see core/abi/quantize.h. 8 lanes take a tile of 16 rows and 16 columns; q and the transpose come from one read.
// reads x (rows, columns), amax (64); writes q (rows, columns), qt (columns, rows), scale (1). No sums.
//! variant bf16 u32 e4m3 e4m3 f32 : -DT=bf16 -DQ -DQT
//! variant bf16 u32 e4m3 - f32 : -DT=bf16 -DQ
//! variant bf16 u32 - e4m3 f32 : -DT=bf16 -DQT
//! subgroups 8 64
//! grid divide_up(p.columns, 128), std::min(p.rows / 16, 32768u), divide_up(p.rows / 16, 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/quantize.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/e4m3.glsl"
#include "shaders/common/code_tile.glsl"

layout(push_constant) uniform Parameters { Quantize p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer x;
layout(binding = 1) readonly buffer Amax { uint amax[]; };
#ifdef Q
layout(binding = 2) writeonly buffer Codes { uvec4 q[]; };
#endif
#ifdef QT
layout(binding = 3) writeonly buffer Transposed { uvec4 qt[]; };
#endif
layout(binding = 4) writeonly buffer Scale { float scale_of_x; };

uvec2 codes(uint row, uint column, uint largest) { return codes_of(LOAD(T, x, (row * p.columns + column) / 8u), largest); }

void work() {
  const uint largest = amax[0], column = tile_column(), first = tile_row();
  if (first_invocation()) scale_of_x = scale_of_codes(largest);
  if (column >= p.columns || first >= p.rows) return;

  const uint row = first + lane();
  const CodeTile tile = CodeTile(codes(row, column, largest), codes(row, column + 8u, largest), codes(row + 8u, column, largest),
                                 codes(row + 8u, column + 8u, largest));
#ifdef Q
  STORE_CODES(q, tile, row, column, p.columns)
#endif
#ifdef QT
  STORE_TRANSPOSED(qt, tile, first, column, p.rows)
#endif
}
