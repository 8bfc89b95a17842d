// The table of compiled shaders that tools/shaders.py writes at build time. Its metadata lines are documented there.
#pragma once

#include <vulkan/vulkan_core.h>

#include <span>

#include "core/ops/op.h"

namespace tandem::vulkan {

// Of an operand: a DType that it must have, or anything, absent included.
constexpr uint8_t kAnyDType = 0xFF;

struct Grid {
  uint32_t x = 1, y = 1, z = 1;  // workgroups
};

// A buffer that the shader declares. Bindings i and kSecondView + i are both operand i; one past the operands: the
// scratch.
struct ShaderBinding {
  uint32_t binding;
  VkFormat format;  // of a texel of a storage texel buffer; VK_FORMAT_UNDEFINED: a storage buffer
};
constexpr uint32_t kSecondView = 16;

// Most scratch that a shader may want: one that would want more is not chosen.
constexpr uint64_t kScratchBytes = 32 << 20;

// A shader file compiled with one set of -D flags.
struct Shader {
  OpId op;
  const char* name;                 // "gemm.wide(-DF32)", for people
  std::span<const uint8_t> dtypes;  // an operand each
  bool subgroup8;                   // only for devices whose subgroups have 8 invocations
  bool (*when)(const Parameters&);  // null: always
  Grid (*grid)(const Parameters&);
  std::span<const uint32_t> constants;                      // ids of the specialization constants ...
  void (*specialize)(const Parameters&, uint32_t* values);  // ... and their values, in that order; null: none
  uint64_t (*scratch)(const Parameters&);                   // bytes; null: none
  const char* after;                                        // the pass that runs first; empty: none
  const char* pass;                                         // its own name, if it is one
  std::span<const ShaderBinding> bindings;
  uint32_t parameter_bytes;  // of the push constants; 0: none
  const char* words;         // SPIR-V, 4-byte aligned
  size_t bytes;
};

std::span<const Shader> shader_table();  // of an op, the first that fits is to be taken

}  // namespace tandem::vulkan
