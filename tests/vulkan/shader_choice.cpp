// The shaders that run on a device. Needs no device.
#include "backends/vulkan/shader_choice.h"

#include <doctest/doctest.h>

#include "core/abi/adamw.h"
#include "core/abi/add.h"
#include "core/abi/amax.h"
#include "core/abi/attention.h"
#include "core/abi/load_micro_step.h"
#include "core/abi/rank_max.h"
#include "core/abi/rank_sum.h"
#include "core/abi/square_sum.h"

namespace tandem::vulkan {
namespace {

PhysicalDevice device_with(uint32_t subgroup_size, uint32_t invocations = 1024) {
  PhysicalDevice device;
  device.properties.limits.maxComputeWorkGroupInvocations = invocations;
  device.kind = DeviceInfo::Kind::discrete;
  device.subgroups.size = subgroup_size;
  device.subgroups_per_workgroup = 64;
  return device;
}

PhysicalDevice software_with(uint32_t subgroup_size) {
  PhysicalDevice device = device_with(subgroup_size);
  device.kind = DeviceInfo::Kind::software;
  return device;
}

ShaderCode code_for(SubgroupSizes sizes, uint32_t invocations = 64) {
  return {"test", sizes, invocations, {}, {}, 0, nullptr, 0};
}

TEST_CASE("a shader runs where its subgroups and its workgroup are to be had") {
  CHECK(runs(code_for({8, 64}), device_with(32)));
  CHECK(runs(code_for({8, 8}), device_with(8)));
  CHECK_FALSE(runs(code_for({8, 8}), device_with(16)));
  CHECK_FALSE(runs(code_for({8, 64}), device_with(4)));
  CHECK_FALSE(runs(code_for({8, 64}), device_with(128)));
  CHECK_FALSE(runs(code_for({8, 64}), device_with(0)));
  CHECK(runs(code_for({0, 0}), device_with(0)));
  CHECK(runs(code_for({0, 0}, 256), device_with(0, 256)));
  CHECK_FALSE(runs(code_for({0, 0}, 256), device_with(0, 255)));

  PhysicalDevice device = device_with(8);
  device.portable = true;
  CHECK(runs(code_for({8, 64}), device));
  CHECK_FALSE(runs(code_for({8, 8}), device));
  device.subgroups_per_workgroup = 7;
  CHECK_FALSE(runs(code_for({8, 64}), device));
}

TEST_CASE("a device that lacks what all shaders of an op need is told so") {
  for (uint32_t size : {0, 4, 8, 32, 128}) CHECK(missing_shaders(shader_table(), device_with(size)) == "");
  CHECK(missing_shaders(shader_table(), device_with(32, 255)) == "workgroups of 256 invocations, for op gemm");
}

Dispatch attention(uint32_t length, uint32_t head_dim) {
  const abi::Attention p{.batch = 1, .sequence_length = length, .q_heads = 1, .kv_heads = 1, .head_dim = head_dim};
  Dispatch dispatch{OpId::attention, Parameters(p), {}};
  for (DType dtype : {DType::f32, DType::i32, DType::f32, DType::f32}) dispatch.operands.push_back({{dtype, {1}}, {}});
  return dispatch;
}

std::string attention_on(const PhysicalDevice& device, uint32_t length, uint32_t head_dim = 64) {
  return choose_shader(attention(length, head_dim), "test", device).code.name;
}

// Workgroups times the elements that each takes; the count is a multiple of some.
template <typename P>
void check_grid(OpId op, uint64_t elements, uint32_t multiple = 1) {
  for (uint32_t count : {1u, 65537u, uint32_t(elements), uint32_t(elements + 1), 0xffffff01u, 0xffffffffu}) {
    P p{};
    p.count = std::max(count / multiple, 1u) * multiple;
    const Parameters parameters(p);
    for (const Shader& shader : shader_table()) {
      if (shader.op != op || (shader.when != nullptr && !shader.when(parameters))) continue;
      const Grid grid = shader.grid(parameters);
      CAPTURE(shader.code.name);
      CHECK(uint64_t(grid.x) * grid.y * grid.z * elements >= p.count);
    }
  }
}

TEST_CASE("grids cover flat operands of any size that abi headers allow") {
  check_grid<abi::Add>(OpId::add, 512);
  check_grid<abi::AdamW>(OpId::adamw, 256);
  check_grid<abi::Amax>(OpId::amax, 8192);
  check_grid<abi::LoadMicroStep>(OpId::load_micro_step, 64);
  check_grid<abi::RankMax>(OpId::rank_max, 256, 4);
  check_grid<abi::RankSum>(OpId::rank_sum, 256, 8);
  check_grid<abi::SquareSum>(OpId::square_sum, abi::kSquareSumBlock);
}

TEST_CASE("of an op's shaders the one made for the device is chosen") {
  CHECK(attention_on(software_with(8), 512) == "attention.d64(-DT=f32)");
  CHECK(attention_on(software_with(8), 512, 128) == "attention.d128(-DT=f32)");
  CHECK(attention_on(software_with(8), 512, 256) == "attention(-DT=f32)");
  CHECK(attention_on(device_with(32), 512) == "attention(-DT=f32)");
  CHECK(attention_on(software_with(4), 512) == "attention(-DT=f32 -DANY_WIDTH)");
  CHECK(attention_on(device_with(0), 512) == "attention(-DT=f32 -DANY_WIDTH)");
}

TEST_CASE("loops that a software device would leave early are given to another shader, or refused") {
  CHECK(attention_on(software_with(8), 20000) == "attention.d64(-DT=f32)");
  CHECK(attention_on(software_with(8), 30000) == "attention(-DT=f32)");
  CHECK(attention_on(software_with(8), 65534) == "attention(-DT=f32)");
  CHECK(attention_on(software_with(4), 8000) == "attention(-DT=f32 -DANY_WIDTH)");
  CHECK(attention_on(device_with(32), 1 << 20) == "attention(-DT=f32)");
  for (const auto& [size, length] : {std::pair<uint32_t, uint32_t>{8, 65535}, {4, 8200}}) {
    std::string message;
    try {
      attention_on(software_with(size), length);
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::does_not_fit);
      message = error.what();
    }
    CHECK(message.find("test: attention would go ") != std::string::npos);
    CHECK(message.find("ends the loops of an invocation after 65535") != std::string::npos);
  }
}

}  // namespace
}  // namespace tandem::vulkan
