#include "backends/vulkan/descriptors.h"

namespace tandem::vulkan {
namespace {

// An operand's range ends on a whole vector, so that a shader may read and write whole ones; arenas are padded.
constexpr uint64_t kVector = 16;

uint64_t texel_bytes(VkFormat format) {
  switch (format) {
    case VK_FORMAT_R32_SFLOAT:
    case VK_FORMAT_R32_SINT:
    case VK_FORMAT_R32_UINT:
      return 4;
    case VK_FORMAT_R32G32_SFLOAT:
    case VK_FORMAT_R32G32_UINT:
      return 8;
    default:
      return 16;
  }
}

std::string name_of_operand(const Dispatch& dispatch, size_t i) {
  if (i == dispatch.operands.size()) return "the workspace";
  return fmt::format("operand {}, {},", i, dispatch.operands[i].desc);
}

}  // namespace

Descriptors::Descriptors(std::shared_ptr<Device> device, std::span<const ArenaMemory* const> arenas, uint32_t sets,
                         uint32_t buffers, uint32_t texels)
    : device_(std::move(device)), absent_(device_, Arena{"of absent operands", ArenaKind::device, kVector}) {
  for (const ArenaMemory* arena : arenas) buffers_.push_back(arena->buffer());
  const std::array<VkDescriptorPoolSize, 2> sizes{{{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, std::max(buffers, 1u)},
                                                   {VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, std::max(texels, 1u)}}};
  auto info = structure<VkDescriptorPoolCreateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO);
  info.maxSets = std::max(sets, 1u);
  info.poolSizeCount = uint32_t(sizes.size());
  info.pPoolSizes = sizes.data();
  pool_ = create<OwnedDescriptorPool>(device_->handle(), vkCreateDescriptorPool, info, "vkCreateDescriptorPool");
}

VkDescriptorBufferInfo Descriptors::range_of(const Dispatch& dispatch, size_t i) const {
  const bool workspace = i == dispatch.operands.size();
  if (!workspace && dispatch.operands.at(i).desc.dtype == DType::none) return {absent_.buffer(), 0, kVector};
  const BufferRef& b = workspace ? dispatch.workspace : dispatch.operands[i].buffer;
  return {buffers_.at(b.arena), b.offset, (b.bytes + kVector - 1) / kVector * kVector};
}

VkBufferView Descriptors::view_of(const VkDescriptorBufferInfo& range, VkFormat format) {
  OwnedBufferView& view = views_[{reinterpret_cast<uint64_t>(range.buffer), range.offset, range.range, format}];
  if (!view.get()) {
    auto info = structure<VkBufferViewCreateInfo>(VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO);
    info.buffer = range.buffer;
    info.format = format;
    info.offset = range.offset;
    info.range = range.range;
    view = create<OwnedBufferView>(device_->handle(), vkCreateBufferView, info, "vkCreateBufferView");
  }
  return view.get();
}

VkDescriptorSet Descriptors::write(const Dispatch& dispatch, std::string_view label, const Shader& shader,
                                   VkDescriptorSetLayout layout) {
  auto info = structure<VkDescriptorSetAllocateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO);
  info.descriptorPool = pool_.get();
  info.descriptorSetCount = 1;
  info.pSetLayouts = &layout;
  VkDescriptorSet set = nullptr;
  device_->check_device(vkAllocateDescriptorSets(device_->handle(), &info, &set), "vkAllocateDescriptorSets");

  const size_t count = shader.code.bindings.size();
  std::vector<VkDescriptorBufferInfo> ranges(count);
  std::vector<VkBufferView> views(count);
  std::vector<VkWriteDescriptorSet> writes(count);
  for (size_t i = 0; i < count; ++i) {
    const auto [binding, format] = shader.code.bindings[i];
    const bool texels = format != VK_FORMAT_UNDEFINED;
    const VkPhysicalDeviceLimits& limits = device_->limits();
    const uint64_t limit =
        texels ? limits.maxTexelBufferElements * texel_bytes(format) : uint64_t(limits.maxStorageBufferRange);
    const uint32_t operand = binding % kSecondView;
    ranges[i] = range_of(dispatch, operand);
    if (ranges[i].range > limit)
      fail(Exit::does_not_fit, "vulkan",
           "{}: {} of {} takes {} bytes, but a binding of {} reaches {}; "
           "lower batch.micro_batch or data.sequence_length, or raise memory.lm_head_chunks",
           label, name_of_operand(dispatch, operand), name_of(dispatch.op), ranges[i].range,
           device_->physical().properties.deviceName, limit);
    if (texels) views[i] = view_of(ranges[i], format);
    writes[i] = structure<VkWriteDescriptorSet>(VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET);
    writes[i].dstSet = set;
    writes[i].dstBinding = binding;
    writes[i].descriptorCount = 1;
    writes[i].descriptorType = texels ? VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    writes[i].pBufferInfo = &ranges[i];
    writes[i].pTexelBufferView = &views[i];
  }
  vkUpdateDescriptorSets(device_->handle(), uint32_t(count), writes.data(), 0, nullptr);
  return set;
}

}  // namespace tandem::vulkan
