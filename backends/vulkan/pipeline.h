// The pipelines made of shaders, each once per specialization.
#pragma once

#include <map>

#include "backends/vulkan/device.h"
#include "backends/vulkan/shader_table.h"

namespace tandem::vulkan {

// Adds to a stage what a shader with subgroup operations rests on: full subgroups, of a size that the stage asks for
// where it could get another. size: outlives the stage's use.
void ask_for_subgroups(const ShaderCode& code, const PhysicalDevice& device, VkPipelineShaderStageCreateInfo& stage,
                       VkPipelineShaderStageRequiredSubgroupSizeCreateInfo& size);

struct Pipeline {
  VkPipeline pipeline = nullptr;
  VkPipelineLayout layout = nullptr;
  VkDescriptorSetLayout set_layout = nullptr;
};

class Pipelines {
 public:
  explicit Pipelines(std::shared_ptr<Device> device);

  Pipeline get(const Shader& shader, const Parameters& parameters);
  Pipeline get(const ShaderCode& shader, const std::vector<uint32_t>& values);  // values: its constants'
  void save();  // what the driver compiled, for the next process

 private:
  // What all specializations of a shader share.
  struct Layout {
    OwnedShaderModule module;
    OwnedDescriptorSetLayout set;
    OwnedPipelineLayout pipeline;
  };
  Layout& layout_of(const ShaderCode& shader);
  OwnedPipeline make(const ShaderCode& shader, const Layout& layout, std::span<const uint32_t> values);

  std::shared_ptr<Device> device_;
  OwnedPipelineCache cache_;
  std::map<const ShaderCode*, Layout> layouts_;
  std::map<std::pair<const ShaderCode*, std::vector<uint32_t>>, OwnedPipeline> pipelines_;
  size_t saved_ = 0;  // pipelines_.size() at the last save
};

}  // namespace tandem::vulkan
