// Which shader runs a dispatch, and the pipelines made of shaders, each once per specialization.
#pragma once

#include <map>

#include "backends/vulkan/device.h"
#include "backends/vulkan/shader_table.h"

namespace tandem::vulkan {

// The first shader of the table that takes the dispatch's dtypes and parameters on such a device, as that pass of it.
// Exit::internal: none.
const Shader& choose_shader(const Dispatch& dispatch, std::string_view label, uint32_t subgroup_size,
                            std::string_view pass = {});

struct Pipeline {
  VkPipeline pipeline = nullptr;
  VkPipelineLayout layout = nullptr;
  VkDescriptorSetLayout set_layout = nullptr;
};

class Pipelines {
 public:
  explicit Pipelines(std::shared_ptr<Device> device);

  Pipeline get(const Shader& shader, const Parameters& parameters);
  void save();  // what the driver compiled, for the next process

 private:
  // What all specializations of a shader share.
  struct Layout {
    OwnedShaderModule module;
    OwnedDescriptorSetLayout set;
    OwnedPipelineLayout pipeline;
  };
  Layout& layout_of(const Shader& shader);
  OwnedPipeline make(const Shader& shader, const Layout& layout, std::span<const uint32_t> values);

  std::shared_ptr<Device> device_;
  OwnedPipelineCache cache_;
  std::map<const Shader*, Layout> layouts_;
  std::map<std::pair<const Shader*, std::vector<uint32_t>>, OwnedPipeline> pipelines_;
  size_t saved_ = 0;  // pipelines_.size() at the last save
};

}  // namespace tandem::vulkan
