// Subgroups: which ones a device is trusted with, what pipelines ask for, and the probe.
#include <doctest/doctest.h>

#include <cstdlib>

#include "backends/vulkan/probe.h"
#include "backends/vulkan/shader_choice.h"

namespace tandem::vulkan {
namespace {

SubgroupSupport support(uint32_t usual, uint32_t smallest, uint32_t largest) {
  return {.shuffles = true, .full = true, .sized = true, .usual = usual, .smallest = smallest, .largest = largest};
}

void check_subgroups(const SubgroupSupport& support, uint32_t size, bool requested) {
  const Subgroups subgroups = reliable_subgroups(support);
  CHECK(subgroups.size == size);
  CHECK(subgroups.requested == requested);
}

TEST_CASE("subgroups are trusted where they are full and of one size") {
  check_subgroups(support(32, 32, 32), 32, false);   // NVIDIA
  check_subgroups(support(8, 8, 8), 8, false);       // software, 256 bits
  check_subgroups(support(4, 4, 4), 4, false);       // software, 128 bits
  check_subgroups(support(32, 8, 32), 32, true);     // Intel
  check_subgroups(support(64, 32, 64), 64, true);    // AMD
  check_subgroups(support(128, 64, 128), 64, true);  // Qualcomm
  check_subgroups(support(4, 4, 16), 8, true);
  check_subgroups(support(128, 128, 256), 0, false);

  SubgroupSupport unsized = support(32, 8, 32);
  unsized.sized = false;  // 32 is reported, and 8 or 16 may be dispatched
  check_subgroups(unsized, 0, false);
  unsized.smallest = 32;
  check_subgroups(unsized, 32, false);

  SubgroupSupport partial = support(32, 32, 32), mute = partial;
  partial.full = mute.shuffles = false;
  check_subgroups(partial, 0, false);
  check_subgroups(mute, 0, false);
}

struct Stage {
  VkPipelineShaderStageCreateInfo info{};
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size{};
  Stage(SubgroupSizes sizes, Subgroups subgroups) {
    PhysicalDevice device;
    device.subgroups = subgroups;
    ask_for_subgroups({"test", sizes, 64, {}, {}, 0, nullptr, 0}, device, info, size);
  }
};

TEST_CASE(
    "pipelines of shaders with subgroup operations ask for full subgroups, and for a size where there are several") {
  const Stage one({8, 64}, {32, false});
  CHECK(one.info.flags == VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT);
  CHECK(one.info.pNext == nullptr);

  const Stage several({8, 64}, {32, true});
  CHECK(several.info.flags == VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT);
  REQUIRE(several.info.pNext == &several.size);
  CHECK(several.size.sType == VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
  CHECK(several.size.requiredSubgroupSize == 32);

  const Stage none({0, 0}, {32, true});
  CHECK(none.info.flags == 0);
  CHECK(none.info.pNext == nullptr);
}

// The tests with 4 lanes would say nothing if the driver did not take the width from the environment.
TEST_CASE("software Vulkan has the lanes that its environment says, on vulkan") {
  const char* bits = std::getenv("LP_NATIVE_VECTOR_WIDTH");
  const Device device(0);
  if (bits == nullptr || !device.physical().software()) return;
  CHECK(device.physical().subgroups.size == uint32_t(std::atoi(bits)) / 32);
}

// What the invocations of a device without faults find, by its own subgroups.
std::vector<uint32_t> found_without_faults(uint32_t subgroup_size) {
  std::vector<uint32_t> found;
  for (uint32_t workgroup = 0; workgroup < kProbeWorkgroups; ++workgroup)
    for (uint32_t own = 0; own < 64; ++own) {
      const uint32_t group = own / 8 * 8, subgroup = own / subgroup_size * subgroup_size;
      uint32_t sum = 0, sums = 0;
      for (uint32_t lane = 0; lane < 8; ++lane) sum += group + lane;
      for (uint32_t turn = 0; turn <= own / 8; ++turn)
        for (uint32_t lane = 0; lane < 8; ++lane) sums += group + lane + turn;
      found.insert(found.end(), {1, own ^ 4, own ^ 2, own ^ 1, group + 7, sum, sums, subgroup_size});
      for (uint32_t lane = 0; lane < 8; ++lane) found.push_back(subgroup + lane);
    }
  return found;
}

TEST_CASE("the probe's findings are checked word by word") {
  for (uint32_t size : {8u, 16u, 32u, 64u}) {
    const std::vector<uint32_t> right = found_without_faults(size);
    CHECK(wrong_lane(right, size) == "");
    for (size_t w = 0; w < right.size(); w += 17) {
      std::vector<uint32_t> found = right;
      found[w] += 1;
      CHECK(wrong_lane(found, size) != "");
    }
  }
  std::vector<uint32_t> found = found_without_faults(32);
  found[kProbeWords * 70 + 1] = 99;
  CHECK(wrong_lane(found, 32) == "invocation 6 of workgroup 1 finds 99 instead of 2 (of the lane 4 apart)");
}

// Where a shader says OpGroupNonUniformShuffleXor, OpGroupNonUniformShuffle: lanes read 4, 2 and 1 instead of 4, 2 and
// 1 apart.
std::vector<uint32_t> with_wrong_shuffles(const ShaderCode& code) {
  const auto* first = reinterpret_cast<const uint32_t*>(code.words);
  std::vector<uint32_t> words(first, first + code.bytes / 4);
  for (size_t at = 5; at < words.size(); at += words[at] >> 16)
    if ((words[at] & 0xffff) == 346) words[at] -= 1;
  return words;
}

TEST_CASE("a device whose shuffles go wrong is refused, by name, on vulkan") {
  const auto device = std::make_shared<Device>(0);
  Pipelines pipelines(device);
  REQUIRE(!shader_probes().empty());
  for (const ShaderCode& code : shader_probes()) {
    if (!runs(code, device->physical())) continue;
    CHECK_NOTHROW(probe(device, pipelines, std::span(&code, 1)));
    const std::vector<uint32_t> words = with_wrong_shuffles(code);
    ShaderCode wrong = code;
    wrong.words = reinterpret_cast<const char*>(words.data());
    try {
      probe(device, pipelines, std::span(&wrong, 1));
      FAIL_CHECK("wrong shuffles are not found");
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::device);
      const std::string message = error.what();
      CHECK(message.find(device->physical().properties.deviceName) != std::string::npos);
      CHECK(message.find("finds 4 instead of") != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace tandem::vulkan
