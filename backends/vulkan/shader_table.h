// The table of compiled shaders that tools/shaders.py writes at build time. Its metadata lines are documented there.
#pragma once

#include <vulkan/vulkan_core.h>

#include <span>

#include "core/base/size.h"  // for the grids
#include "core/ops/op.h"

namespace tandem::vulkan {

// What an operand must have: a DType that it must have, or anything, absent included.
constexpr uint8_t kAnyDType = 0xFF;

struct Grid {
  uint32_t x = 1, y = 1, z = 1;  // workgroups
};

// A buffer that the shader declares. Bindings i and kSecondView + i are both operand i; one past the operands: the
// workspace.
struct ShaderBinding {
  uint32_t binding;
  VkFormat format;  // a texel's, of a storage texel buffer; VK_FORMAT_UNDEFINED: a storage buffer
};
constexpr uint32_t kSecondView = 16;

// Largest workspace that a shader may want: one that would want more is not chosen.
constexpr uint64_t kScratchBytes = 32 << 20;

// The sizes of subgroups that a shader with subgroup operations is made for; most = 0: it has no such operations.
struct SubgroupSizes {
  uint32_t least, most;
};

// A shader file compiled with one set of -D flags: what it needs of a device, and how it is bound.
struct ShaderCode {
  const char* name;  // "gemm.wide(-DF32)", for people
  SubgroupSizes subgroups;
  uint32_t invocations;  // per workgroup
  std::span<const ShaderBinding> bindings;
  std::span<const uint32_t> constants;  // ids of the specialization constants
  uint32_t parameter_bytes;             // size of the push constants; 0: none
  const char* words;                    // SPIR-V, 4-byte aligned
  size_t bytes;
};

// The code of an op, and the dispatches that it is for.
struct Shader {
  OpId op;
  std::span<const uint8_t> dtypes;  // an operand each
  bool (*when)(const Parameters&);  // null: always
  Grid (*grid)(const Parameters&);
  void (*specialize)(const Parameters&, uint32_t* values);  // the constants' values, in their order; null: none
  uint64_t (*scratch)(const Parameters&);                   // bytes of workspace; null: none
  uint64_t (*iterations)(const Parameters&);                // turns that its loops take at most; null: it has none ...
  uint32_t turns;                                           // ... and how often an invocation goes through all of it
  const char* after;                                        // the pass that runs first; empty: none
  const char* pass;                                         // its own name, if it is one
  ShaderCode code;
};

std::span<const Shader> shader_table();       // for an op, the first that fits is to be taken
std::span<const ShaderCode> shader_probes();  // what shows that a device runs shaders rightly: probe.h

}  // namespace tandem::vulkan
