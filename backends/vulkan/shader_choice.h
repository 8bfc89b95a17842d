// The shaders that a device runs, and the one of them that runs a dispatch.
#pragma once

#include "backends/vulkan/physical_device.h"
#include "backends/vulkan/shader_table.h"
#include "core/program/program.h"

namespace tandem::vulkan {

// True if the device has the subgroups and the workgroups that the code is made for.
bool runs(const ShaderCode& code, const PhysicalDevice& device);

// What a device lacks for an op on some dtypes, naming the op: none of its shaders that take any size runs there.
// Empty: nothing.
std::string missing_shaders(std::span<const Shader> table, const PhysicalDevice& device);

// The bytes of workspace that the shader wants which choose_shader would choose; 0 where it would throw.
uint64_t scratch_of(OpId op, const Parameters& parameters, Operands operands, const PhysicalDevice& device);

// The first shader of the table that the device runs and that takes the dispatch's dtypes and parameters, for that
// pass. Exit::internal if there is none; Exit::does_not_fit if the device would leave the loops of each too early.
const Shader& choose_shader(const Dispatch& dispatch, std::string_view label, const PhysicalDevice& device,
                            std::string_view pass = {});

}  // namespace tandem::vulkan
