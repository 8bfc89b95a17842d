// adamw: see core/abi/adamw.h. One invocation 4 elements: one Philox block a stored operand.
// reads gradient (count), update; updates p, m, v (count) and master. Operands within a storage buffer's range of 128 MiB.
//! variant f32 u32 f32 f32 f32 - : -DG=f32 -DP=f32 -DM=f32 -DV=f32
//! variant bf16 u32 bf16 bf16 bf16 - : -DG=bf16 -DP=bf16 -DM=bf16 -DV=bf16
//! variant bf16 u32 bf16 bf16 bf16 f32 : -DG=bf16 -DP=bf16 -DM=bf16 -DV=bf16 -DMASTER
//! variant bf16 u32 bf16 bf16 f32 - : -DG=bf16 -DP=bf16 -DM=bf16 -DV=f32
//! variant bf16 u32 bf16 bf16 f32 f32 : -DG=bf16 -DP=bf16 -DM=bf16 -DV=f32 -DMASTER
//! variant bf16 u32 bf16 f32 bf16 - : -DG=bf16 -DP=bf16 -DM=f32 -DV=bf16
//! variant bf16 u32 bf16 f32 bf16 f32 : -DG=bf16 -DP=bf16 -DM=f32 -DV=bf16 -DMASTER
//! variant bf16 u32 bf16 f32 f32 - : -DG=bf16 -DP=bf16 -DM=f32 -DV=f32
//! variant bf16 u32 bf16 f32 f32 f32 : -DG=bf16 -DP=bf16 -DM=f32 -DV=f32 -DMASTER
//! variant f32 u32 bf16 bf16 bf16 - : -DG=f32 -DP=bf16 -DM=bf16 -DV=bf16
//! variant f32 u32 bf16 bf16 bf16 f32 : -DG=f32 -DP=bf16 -DM=bf16 -DV=bf16 -DMASTER
//! variant f32 u32 bf16 bf16 f32 - : -DG=f32 -DP=bf16 -DM=bf16 -DV=f32
//! variant f32 u32 bf16 bf16 f32 f32 : -DG=f32 -DP=bf16 -DM=bf16 -DV=f32 -DMASTER
//! variant f32 u32 bf16 f32 bf16 - : -DG=f32 -DP=bf16 -DM=f32 -DV=bf16
//! variant f32 u32 bf16 f32 bf16 f32 : -DG=f32 -DP=bf16 -DM=f32 -DV=bf16 -DMASTER
//! variant f32 u32 bf16 f32 f32 - : -DG=f32 -DP=bf16 -DM=f32 -DV=f32
//! variant f32 u32 bf16 f32 f32 f32 : -DG=f32 -DP=bf16 -DM=f32 -DV=f32 -DMASTER
//! when p.count <= 33554432
//! iterations 300
//! grid std::min<uint64_t>(divide_up(p.count, 4 * 64), 256), divide_up(divide_up(p.count, 4), 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#define WRITES
#include "shaders/common/adamw.glsl"
