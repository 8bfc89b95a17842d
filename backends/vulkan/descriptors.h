// Descriptor sets of a program's dispatches, and the texel views that they name.
#pragma once

#include <array>
#include <map>

#include "backends/vulkan/memory.h"
#include "backends/vulkan/pipeline.h"

namespace tandem::vulkan {

class Descriptors {
 public:
  // sets: how many will be made; buffers, texels: descriptors of each kind in all of them
  Descriptors(std::shared_ptr<Device> device, std::span<const ArenaMemory* const> arenas, uint32_t sets,
              uint32_t buffers, uint32_t texels);

  // Exit::does_not_fit when an operand exceeds what a binding of this device can reach. label: the instruction's.
  VkDescriptorSet write(const Dispatch& dispatch, std::string_view label, const Shader& shader,
                        VkDescriptorSetLayout layout);

 private:
  // operand i's; one past the operands: the workspace
  VkDescriptorBufferInfo range_of(const Dispatch& dispatch, size_t i) const;
  VkBufferView view_of(const VkDescriptorBufferInfo& range, VkFormat format);

  std::shared_ptr<Device> device_;
  std::vector<VkBuffer> buffers_;  // the arenas'
  ArenaMemory absent_;             // stands for absent operands
  OwnedDescriptorPool pool_;
  std::map<std::array<uint64_t, 4>, OwnedBufferView> views_;  // by buffer, offset, bytes, format
};

}  // namespace tandem::vulkan
