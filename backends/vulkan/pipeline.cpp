#include "backends/vulkan/pipeline.h"

#include "backends/vulkan/pipeline_file.h"

namespace tandem::vulkan {
namespace {

VkDescriptorSetLayoutBinding layout_binding(const ShaderBinding& binding) {
  return {.binding = binding.binding,
          .descriptorType = binding.format == VK_FORMAT_UNDEFINED ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                                                  : VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER,
          .descriptorCount = 1,
          .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
          .pImmutableSamplers = nullptr};
}

}  // namespace

void ask_for_subgroups(const ShaderCode& code, const PhysicalDevice& device, VkPipelineShaderStageCreateInfo& stage,
                       VkPipelineShaderStageRequiredSubgroupSizeCreateInfo& size) {
  if (code.subgroups.most == 0) return;
  stage.flags |= VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  if (!device.subgroups.requested) return;
  size = structure<VkPipelineShaderStageRequiredSubgroupSizeCreateInfo>(
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
  size.requiredSubgroupSize = device.subgroups.size;
  stage.pNext = &size;
}

Pipelines::Pipelines(std::shared_ptr<Device> device) : device_(std::move(device)) {
  const std::vector<std::byte> data = read_pipeline_file(device_->physical().properties);
  auto info = structure<VkPipelineCacheCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO);
  info.initialDataSize = data.size();
  info.pInitialData = data.data();
  cache_ = create<OwnedPipelineCache>(device_->handle(), vkCreatePipelineCache, info, "vkCreatePipelineCache");
}

Pipelines::Layout& Pipelines::layout_of(const ShaderCode& shader) {
  const auto [found, inserted] = layouts_.try_emplace(&shader);
  Layout& layout = found->second;
  if (!inserted) return layout;

  auto module = structure<VkShaderModuleCreateInfo>(VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
  module.codeSize = shader.bytes;
  module.pCode = reinterpret_cast<const uint32_t*>(shader.words);
  layout.module = create<OwnedShaderModule>(device_->handle(), vkCreateShaderModule, module, "vkCreateShaderModule");

  std::vector<VkDescriptorSetLayoutBinding> bindings;
  for (const ShaderBinding& binding : shader.bindings) bindings.push_back(layout_binding(binding));
  auto set = structure<VkDescriptorSetLayoutCreateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO);
  set.bindingCount = uint32_t(bindings.size());
  set.pBindings = bindings.data();
  layout.set = create<OwnedDescriptorSetLayout>(device_->handle(), vkCreateDescriptorSetLayout, set,
                                                "vkCreateDescriptorSetLayout");

  const VkDescriptorSetLayout set_layout = layout.set.get();
  const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, shader.parameter_bytes};
  auto info = structure<VkPipelineLayoutCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO);
  info.setLayoutCount = 1;
  info.pSetLayouts = &set_layout;
  info.pushConstantRangeCount = shader.parameter_bytes != 0;
  info.pPushConstantRanges = &range;
  layout.pipeline =
      create<OwnedPipelineLayout>(device_->handle(), vkCreatePipelineLayout, info, "vkCreatePipelineLayout");
  return layout;
}

OwnedPipeline Pipelines::make(const ShaderCode& shader, const Layout& layout, std::span<const uint32_t> values) {
  std::vector<VkSpecializationMapEntry> entries;
  for (uint32_t i = 0; i < values.size(); ++i) entries.push_back({shader.constants[i], uint32_t(i * 4), 4});
  const VkSpecializationInfo specialization{.mapEntryCount = uint32_t(entries.size()),
                                            .pMapEntries = entries.data(),
                                            .dataSize = values.size_bytes(),
                                            .pData = values.data()};
  auto info = structure<VkComputePipelineCreateInfo>(VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO);
  info.stage = structure<VkPipelineShaderStageCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO);
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = layout.module.get();
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &specialization;
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size;
  ask_for_subgroups(shader, device_->physical(), info.stage, size);
  info.layout = layout.pipeline.get();
  info.basePipelineIndex = -1;
  VkPipeline handle = nullptr;
  const VkResult result = vkCreateComputePipelines(device_->handle(), cache_.get(), 1, &info, nullptr, &handle);
  OwnedPipeline pipeline(device_->handle(), handle);
  device_->check_device(result, fmt::format("vkCreateComputePipelines of {}", shader.name));
  return pipeline;
}

Pipeline Pipelines::get(const Shader& shader, const Parameters& parameters) {
  std::vector<uint32_t> values(shader.code.constants.size());
  if (shader.specialize != nullptr) shader.specialize(parameters, values.data());
  return get(shader.code, values);
}

Pipeline Pipelines::get(const ShaderCode& shader, const std::vector<uint32_t>& values) {
  Layout& layout = layout_of(shader);
  auto found = pipelines_.find({&shader, values});
  if (found == pipelines_.end())
    found = pipelines_.emplace(std::pair(&shader, values), make(shader, layout, values)).first;
  return {found->second.get(), layout.pipeline.get(), layout.set.get()};
}

void Pipelines::save() {
  if (saved_ == pipelines_.size()) return;
  saved_ = pipelines_.size();
  size_t size = 0;
  device_->check_device(vkGetPipelineCacheData(device_->handle(), cache_.get(), &size, nullptr),
                        "vkGetPipelineCacheData");
  std::vector<std::byte> data(size);
  device_->check_device(vkGetPipelineCacheData(device_->handle(), cache_.get(), &size, data.data()),
                        "vkGetPipelineCacheData");
  data.resize(size);
  write_pipeline_file(device_->physical().properties, data);
}

}  // namespace tandem::vulkan
