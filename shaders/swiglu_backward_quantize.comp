// swiglu_backward_quantize: see core/abi/swiglu_backward_quantize.h. 8 lanes take a tile of 16 rows and 16 columns of dgate and the same
// of dup. No sums.
// reads dy (rows, columns), x (rows, 2 columns); writes q (rows, 2 columns), qt (2 columns, rows) and scale (1), or raises amax (64).
//! variant bf16 bf16 - e4m3 e4m3 - u32 : -DGUESS
//! variant bf16 bf16 u32 e4m3 e4m3 f32 - :
//! subgroups 8 64
//! grid divide_up(p.columns, 128), std::min(p.rows / 16, 32768u), divide_up(p.rows / 16, 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/swiglu_backward_quantize.h"
#include "core/abi/amax.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/e4m3.glsl"
#include "shaders/common/code_tile.glsl"
#include "shaders/common/swiglu.glsl"

layout(push_constant) uniform Parameters { SwigluBackwardQuantize p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer dy;
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer x;
#define FIRST 2
#define Q
#define QT
#include "shaders/common/quantize_result.glsl"

void codes(uint row, uint column, inout uint largest, out uvec2 of_gate, out uvec2 of_up) {
  const uint packs = p.columns / 8u, i = row * packs + column / 8u, gate_at = i + row * packs;
  Pack dgate, dup;
  differentiate(LOAD(bf16, dy, i), LOAD(bf16, x, gate_at), LOAD(bf16, x, gate_at + packs), dgate, dup);
  of_gate = codes_raising(dgate, largest);
  of_up = codes_raising(dup, largest);
}

void work() {
  const uint column = tile_column(), first = tile_row(), row = first + lane();
  if (settle(p.scale)) return;
  uint largest = 0u;
  if (column < p.columns && first < p.rows) {
    CodeTile gate, up;
    codes(row, column, largest, gate.a, up.a);
    codes(row, column + 8u, largest, gate.b, up.b);
    codes(row + 8u, column, largest, gate.c, up.c);
    codes(row + 8u, column + 8u, largest, gate.d, up.d);
    STORE_CODES(q, gate, row, column, 2u * p.columns)
    STORE_CODES(q, up, row, p.columns + column, 2u * p.columns)
    STORE_TRANSPOSED(qt, gate, first, column, p.rows)
    STORE_TRANSPOSED(qt, up, first, p.columns + column, p.rows)
  }
  raise(largest);
}
