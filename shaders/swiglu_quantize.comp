// swiglu_quantize: see core/abi/swiglu_quantize.h. 8 lanes take a tile of 16 rows and 16 columns of the product. No sums.
// reads x (rows, 2 columns); writes q (rows, columns), qt (columns, rows) and scale (1), or raises amax (64).
//! variant bf16 - e4m3 e4m3 - u32 : -DQ -DQT -DGUESS
//! variant bf16 - e4m3 - - u32 : -DQ -DGUESS
//! variant bf16 u32 e4m3 e4m3 f32 - : -DQ -DQT
//! variant bf16 u32 e4m3 - f32 - : -DQ
//! variant bf16 u32 - e4m3 f32 - : -DQT
//! subgroups 8 64
//! grid divide_up(p.columns, 128), std::min(p.rows / 16, 32768u), divide_up(p.rows / 16, 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/swiglu_quantize.h"
#include "core/abi/amax.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/e4m3.glsl"
#include "shaders/common/code_tile.glsl"
#include "shaders/common/swiglu.glsl"

layout(push_constant) uniform Parameters { SwigluQuantize p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer x;
#define FIRST 1
#include "shaders/common/quantize_result.glsl"

uvec2 codes(uint row, uint column, inout uint largest) {
  const uint gate_at = (row * 2u * p.columns + column) / 8u;
  return codes_raising(swiglu(LOAD(bf16, x, gate_at), LOAD(bf16, x, gate_at + p.columns / 8u)), largest);
}

void work() {
  const uint column = tile_column(), first = tile_row(), row = first + lane();
  if (settle(p.scale)) return;
  uint largest = 0u;
  if (column < p.columns && first < p.rows) {
    CodeTile tile;
    tile.a = codes(row, column, largest);
    tile.b = codes(row, column + 8u, largest);
    tile.c = codes(row + 8u, column, largest);
    tile.d = codes(row + 8u, column + 8u, largest);
#ifdef Q
    STORE_CODES(q, tile, row, column, p.columns)
#endif
#ifdef QT
    STORE_TRANSPOSED(qt, tile, first, column, p.rows)
#endif
  }
  raise(largest);
}
