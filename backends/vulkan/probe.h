// A look, when a device is opened, at whether its subgroup operations do what the shaders take from them.
#pragma once

#include "backends/vulkan/pipeline.h"

namespace tandem::vulkan {

// Workgroups of 64 that a probe is run with, and words that each of their invocations writes.
constexpr uint32_t kProbeWorkgroups = 4, kProbeWords = 16;

// What is wrong with what shaders/lanes.probe.comp found in subgroups of that size; empty: nothing.
std::string wrong_lane(std::span<const uint32_t> found, uint32_t subgroup_size);

// Runs those of the probes that the device takes. Exit::device, naming it, when a lane finds what it should not.
void probe(const std::shared_ptr<Device>& device, Pipelines& pipelines, std::span<const ShaderCode> probes);

}  // namespace tandem::vulkan
