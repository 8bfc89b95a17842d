#include "backends/vulkan/probe.h"

#include <array>
#include <cstring>

#include "backends/vulkan/memory.h"
#include "backends/vulkan/shader_choice.h"

namespace tandem::vulkan {
namespace {

constexpr uint32_t kInvocations = 64;  // per workgroup
constexpr size_t kWords = size_t(kProbeWorkgroups) * kInvocations * kProbeWords;

using Words = std::array<uint32_t, kProbeWords>;

struct Finding {
  const char* what;
  uint32_t words;
};
constexpr Finding kFindings[] = {
    {"invocations at its place", 1}, {"of the lane 4 apart", 1}, {"of the lane 2 apart", 1},
    {"of the lane 1 apart", 1},      {"largest of 8 lanes", 1},  {"sum of 8 lanes", 1},
    {"sums in a loop", 1},           {"size of a subgroup", 1},  {"of a lane by its number", 8},
};

// What the lane i % 8 of group i / 8 has to find; every lane's own value is its i.
Words expected(uint32_t i, uint32_t subgroup_size) {
  const uint32_t group = i / 8, sum = 64 * group + 28;
  Words words = {1, i ^ 4, i ^ 2, i ^ 1, i | 7, sum, 0, subgroup_size};
  for (uint32_t turn = 0; turn <= group; ++turn) words[6] += sum + 8 * turn;
  for (uint32_t k = 0; k < 8; ++k) words[8 + k] = i / subgroup_size * subgroup_size + k;
  return words;
}

const char* name_of_word(uint32_t word) {
  const Finding* finding = kFindings;
  while (word >= finding->words) word -= finding++->words;
  return finding->what;
}

OwnedDescriptorPool make_pool(const Device& device) {
  const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1};
  auto info = structure<VkDescriptorPoolCreateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO);
  info.maxSets = 1;
  info.poolSizeCount = 1;
  info.pPoolSizes = &size;
  return create<OwnedDescriptorPool>(device.handle(), vkCreateDescriptorPool, info, "vkCreateDescriptorPool");
}

VkDescriptorSet make_set(Device& device, VkDescriptorPool pool, VkDescriptorSetLayout layout, VkBuffer buffer) {
  auto info = structure<VkDescriptorSetAllocateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO);
  info.descriptorPool = pool;
  info.descriptorSetCount = 1;
  info.pSetLayouts = &layout;
  VkDescriptorSet set = nullptr;
  device.check_device(vkAllocateDescriptorSets(device.handle(), &info, &set), "vkAllocateDescriptorSets");
  const VkDescriptorBufferInfo range{buffer, 0, VK_WHOLE_SIZE};
  auto write = structure<VkWriteDescriptorSet>(VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET);
  write.dstSet = set;
  write.descriptorCount = 1;
  write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
  write.pBufferInfo = &range;
  vkUpdateDescriptorSets(device.handle(), 1, &write, 0, nullptr);
  return set;
}

std::vector<uint32_t> run(const std::shared_ptr<Device>& device, const Pipeline& pipeline) {
  std::vector<uint32_t> found(kWords);
  const ArenaMemory memory(device, Arena{"of the probe", ArenaKind::host, found.size() * sizeof(uint32_t)});
  std::memset(memory.mapped(), 0, found.size() * sizeof(uint32_t));
  const OwnedDescriptorPool descriptors = make_pool(*device);
  const VkDescriptorSet set = make_set(*device, descriptors.get(), pipeline.set_layout, memory.buffer());

  const OwnedCommandPool pool = device->make_command_pool();
  const VkCommandBuffer commands = device->allocate_commands(pool.get());
  device->begin_commands(commands, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
  vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
  vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &set, 0, nullptr);
  vkCmdDispatch(commands, kProbeWorkgroups, 1, 1);
  device->end_commands(commands);
  device->wait(device->submit(commands));
  std::memcpy(found.data(), memory.mapped(), found.size() * sizeof(uint32_t));
  return found;
}

}  // namespace

std::string wrong_lane(std::span<const uint32_t> found, uint32_t subgroup_size) {
  TANDEM_CHECK(found.size() == kWords, "{} words of a probe", found.size());
  for (uint32_t i = 0; i < kProbeWorkgroups * kInvocations; ++i) {
    const Words right = expected(i % kInvocations, subgroup_size);
    for (uint32_t w = 0; w < kProbeWords; ++w)
      if (const uint32_t value = found[i * kProbeWords + w]; value != right[w])
        return fmt::format("invocation {} of workgroup {} finds {} instead of {} ({})", i % kInvocations,
                           i / kInvocations, value, right[w], name_of_word(w));
  }
  return "";
}

void probe(const std::shared_ptr<Device>& device, Pipelines& pipelines, std::span<const ShaderCode> probes) {
  const PhysicalDevice& physical = device->physical();
  for (const ShaderCode& code : probes) {
    if (!runs(code, physical)) continue;
    const std::string wrong = wrong_lane(run(device, pipelines.get(code, {})), physical.subgroups.size);
    if (!wrong.empty())
      fail(Exit::device, "vulkan",
           "subgroups of {} go wrong: {}; update the driver, or choose another device by run.backend",
           physical.properties.deviceName, wrong);
  }
}

}  // namespace tandem::vulkan
