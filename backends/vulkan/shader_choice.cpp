#include "backends/vulkan/shader_choice.h"

#include <algorithm>

namespace tandem::vulkan {
namespace {

bool takes(const Shader& shader, OpId op, const Parameters& parameters, Operands operands) {
  if (shader.op != op || shader.dtypes.size() != operands.size()) return false;
  for (size_t i = 0; i < shader.dtypes.size(); ++i)
    if (shader.dtypes[i] != kAnyDType && DType(shader.dtypes[i]) != operands[i].dtype) return false;
  if (shader.scratch != nullptr && shader.scratch(parameters) > kScratchBytes) return false;
  return shader.when == nullptr || shader.when(parameters);
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

// A dispatch's first shader; null: the device would leave the loops of each too early, or none takes it.
struct Found {
  const Shader* shader = nullptr;
  uint64_t least = UINT64_MAX;  // iterations, of the shaders that would do but for them
};

Found find_shader(OpId op, const Parameters& parameters, Operands operands, const PhysicalDevice& device,
                  std::string_view pass) {
  Found found;
  for (const Shader& shader : shader_table()) {
    if (shader.pass != pass || !takes(shader, op, parameters, operands) || !runs(shader.code, device)) continue;
    const uint64_t iterations = iterations_of(shader, parameters);
    if (iterations <= device.loop_iterations()) return {.shader = &shader};
    found.least = std::min(found.least, iterations);
  }
  return found;
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

uint64_t scratch_of(OpId op, const Parameters& parameters, Operands operands, const PhysicalDevice& device) {
  const Shader* shader = find_shader(op, parameters, operands, device, {}).shader;
  return shader == nullptr || shader->scratch == nullptr ? 0 : shader->scratch(parameters);
}

const Shader& choose_shader(const Dispatch& dispatch, std::string_view label, const PhysicalDevice& device,
                            std::string_view pass) {
  const Found found = find_shader(dispatch.op, dispatch.parameters, descs_of(dispatch), device, pass);
  if (found.shader != nullptr) return *found.shader;
  if (found.least != UINT64_MAX)
    fail(Exit::does_not_fit, "vulkan",
         "{}: {} would go {} times through loops, but {} ends the loops of an invocation after {}; lower "
         "data.sequence_length or batch.micro_batch, or take another device",
         label, name_of(dispatch.op), found.least, device.properties.deviceName, device.loop_iterations());
  std::string dtypes;
  for (const Operand& operand : dispatch.operands) dtypes += fmt::format(" {}", name_of(operand.desc.dtype));
  fail(Exit::internal, "vulkan",
       "{}: no shader of op {} takes dtypes{}; a file shaders/{}*.comp must say '//! variant'", label,
       name_of(dispatch.op), dtypes, name_of(dispatch.op));
}

}  // namespace tandem::vulkan
