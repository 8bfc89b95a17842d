#include "backends/vulkan/shader_choice.h"

#include <algorithm>

namespace tandem::vulkan {
namespace {

bool takes(const Shader& shader, const Dispatch& dispatch) {
  if (shader.op != dispatch.op || shader.dtypes.size() != dispatch.operands.size()) return false;
  for (size_t i = 0; i < shader.dtypes.size(); ++i)
    if (shader.dtypes[i] != kAnyDType && DType(shader.dtypes[i]) != dispatch.operands[i].desc.dtype) return false;
  if (shader.scratch != nullptr && shader.scratch(dispatch.parameters) > kScratchBytes) return false;
  return shader.when == nullptr || shader.when(dispatch.parameters);
}

// True if it takes every dispatch with its dtypes.
bool takes_any_size(const Shader& shader) {
  return shader.when == nullptr && shader.scratch == nullptr && shader.pass[0] == 0;
}

uint64_t iterations_of(const Shader& shader, const Parameters& parameters) {
  if (shader.iterations == nullptr) return 0;
  const uint64_t once = shader.iterations(parameters);
  return shader.turns == 1 ? once : shader.turns * (once + 1) + 1;
}

std::string needs_of(const ShaderCode& code) {
  std::string needs = fmt::format("workgroups of {} invocations", code.invocations);
  const auto [least, most] = code.subgroups;
  if (most != 0) needs += fmt::format(" in full subgroups of {} to {} with shuffles", least, most);
  return needs;
}

}  // namespace

bool runs(const ShaderCode& code, const PhysicalDevice& device) {
  if (code.invocations > device.properties.limits.maxComputeWorkGroupInvocations) return false;
  const auto [least, most] = code.subgroups;
  if (most == 0) return true;
  if (least == most && device.portable) return false;
  const uint32_t size = device.subgroups.size;
  return least <= size && size <= most && code.invocations <= uint64_t(size) * device.subgroups_per_workgroup;
}

std::string missing_shaders(std::span<const Shader> table, const PhysicalDevice& device) {
  for (const Shader& shader : table) {
    const auto same = [&](const Shader& other) {
      return other.op == shader.op &&
             std::equal(other.dtypes.begin(), other.dtypes.end(), shader.dtypes.begin(), shader.dtypes.end());
    };
    const auto serves = [&](const Shader& other) {
      return same(other) && takes_any_size(other) && runs(other.code, device);
    };
    if (takes_any_size(shader) && std::none_of(table.begin(), table.end(), serves))
      return fmt::format("{}, for op {}", needs_of(shader.code), name_of(shader.op));
  }
  return "";
}

const Shader& choose_shader(const Dispatch& dispatch, std::string_view label, const PhysicalDevice& device,
                            std::string_view pass) {
  uint64_t least = UINT64_MAX;  // iterations, of the shaders that would do but for them
  for (const Shader& shader : shader_table()) {
    if (shader.pass != pass || !runs(shader.code, device) || !takes(shader, dispatch)) continue;
    const uint64_t iterations = iterations_of(shader, dispatch.parameters);
    if (iterations <= device.loop_iterations()) return shader;
    least = std::min(least, iterations);
  }
  if (least != UINT64_MAX)
    fail(Exit::does_not_fit, "vulkan",
         "{}: {} would go {} times through loops, but {} ends the loops of an invocation after {}; lower "
         "data.sequence_length or batch.micro_batch, or take another device",
         label, name_of(dispatch.op), least, device.properties.deviceName, device.loop_iterations());
  std::string dtypes;
  for (const Operand& operand : dispatch.operands) dtypes += fmt::format(" {}", name_of(operand.desc.dtype));
  fail(Exit::internal, "vulkan",
       "{}: no shader of op {} takes dtypes{}; a file shaders/{}*.comp must say '//! variant'", label,
       name_of(dispatch.op), dtypes, name_of(dispatch.op));
}

}  // namespace tandem::vulkan
