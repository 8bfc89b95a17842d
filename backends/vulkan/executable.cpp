#include "backends/vulkan/executable.h"

#include <map>

#include "backends/common/memory.h"
#include "backends/vulkan/shader_choice.h"
#include "core/base/overloaded.h"
#include "core/base/size.h"
#include "core/program/accesses.h"
#include "core/runtime/collectives.h"

namespace tandem::vulkan {

VulkanExecutable::VulkanExecutable(std::shared_ptr<Device> device, Pipelines& pipelines, Transfer& transfer,
                                   World* world, const Program& program, std::span<Memory* const> memories)
    : device_(std::move(device)),
      transfer_(transfer),
      world_(world),
      program_(program),
      arenas_(memories_of<ArenaMemory>(program, memories)) {
  TANDEM_CHECK(world != nullptr || !has_exchange(program), "the program has {} ranks, join them", program.ranks);
  prepare(pipelines);
  pool_ = device_->make_command_pool();
  for (const Turns& turns : program_.schedule) record_stretches(turns.turn);
  device_->check_validation();
}

VulkanExecutable::~VulkanExecutable() {
  device_->wait_idle();
}

// Chooses shaders, makes pipelines and writes descriptor sets.
void VulkanExecutable::prepare(Pipelines& pipelines) {
  struct Chosen {
    const Dispatch* dispatch = nullptr;
    std::vector<const Shader*> passes;
  };
  std::array<std::vector<Chosen>, kRangeCount> chosen;  // per instruction
  uint32_t sets = 0, buffers = 0, texels = 0;
  const auto choose = [&](const Dispatch& dispatch, std::string_view label) {
    const PhysicalDevice& physical = device_->physical();
    const Shader& shader = choose_shader(dispatch, label, physical);
    Chosen made{&dispatch, {}};
    if (shader.after[0] != 0) made.passes.push_back(&choose_shader(dispatch, label, physical, shader.after));
    made.passes.push_back(&shader);
    for (const Shader* pass : made.passes)
      for (const ShaderBinding& b : pass->code.bindings) ++(b.format == VK_FORMAT_UNDEFINED ? buffers : texels);
    sets += uint32_t(made.passes.size());
    return made;
  };
  for (size_t r = 0; r < kRangeCount; ++r)
    for (const Instruction& instruction : program_.ranges[r])
      chosen[r].push_back(
          std::visit(overloaded{[&](const Dispatch& dispatch) { return choose(dispatch, instruction.label); },
                                [&](const Fill&) { return Chosen{}; }, [&](const Copy&) { return Chosen{}; },
                                [&](const Collective&) { return Chosen{}; }, [&](const Barrier&) { return Chosen{}; },
                                [&](const Signal&) { return Chosen{}; }, [&](const Wait&) { return Chosen{}; }},
                     instruction.command));
  descriptors_.emplace(device_, arenas_, sets, buffers, texels);
  for (size_t r = 0; r < kRangeCount; ++r) {
    steps_[r].resize(chosen[r].size());
    for (size_t i = 0; i < chosen[r].size(); ++i)
      for (const Shader* shader : chosen[r][i].passes)
        steps_[r][i].push_back(make_pass(pipelines, *shader, *chosen[r][i].dispatch, program_.ranges[r][i].label));
  }
}

VulkanExecutable::Pass VulkanExecutable::make_pass(Pipelines& pipelines, const Shader& shader, const Dispatch& dispatch,
                                                   std::string_view label) {
  Pass pass;
  pass.pipeline = pipelines.get(shader, dispatch.parameters);
  pass.set = descriptors_->write(dispatch, label, shader, pass.pipeline.set_layout);
  pass.parameter_bytes = shader.code.parameter_bytes;
  TANDEM_CHECK(pass.parameter_bytes == 0 || pass.parameter_bytes == dispatch.parameters.size(),
               "{}: {} bytes of parameters, {} expected", label, dispatch.parameters.size(), pass.parameter_bytes);
  pass.grid = grid_of(shader, dispatch, label);
  return pass;
}

Grid VulkanExecutable::grid_of(const Shader& shader, const Dispatch& dispatch, std::string_view label) const {
  const Grid grid = shader.grid(dispatch.parameters);
  const auto& limit = device_->limits().maxComputeWorkGroupCount;
  if (grid.x > limit[0] || grid.y > limit[1] || grid.z > limit[2])
    fail(Exit::does_not_fit, "vulkan",
         "{}: {} wants {} x {} x {} workgroups, but {} takes at most {} x {} x {}; lower "
         "batch.micro_batch or data.sequence_length",
         label, shader.code.name, grid.x, grid.y, grid.z, device_->physical().properties.deviceName, limit[0], limit[1],
         limit[2]);
  return grid;
}

void VulkanExecutable::record_stretches(Turn turn) {
  std::vector<Stretch>& stretches = stretches_[turn.index()];
  const auto begin = [&] {
    stretches.push_back({device_->allocate_commands(pool_.get()), nullptr});
    device_->begin_commands(stretches.back().commands, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT);
  };
  begin();
  const std::vector<Instruction>& code = program_.range(turn.range);
  for (size_t i = 0; i < code.size(); ++i) {
    if (!turn.runs(code[i].when)) continue;
    Stretch& stretch = stretches.back();
    if (exchange_of(code[i]) == nullptr) {
      record(stretch.commands, code[i].command, steps_[size_t(turn.range)][i]);
      continue;
    }
    stretch.meeting = &code[i];
    device_->end_commands(stretch.commands);
    begin();
  }
  device_->end_commands(stretches.back().commands);
}

void VulkanExecutable::record(VkCommandBuffer commands, Turn turn, VkCommandBufferUsageFlags usage,
                              VkQueryPool queries) {
  const std::vector<Instruction>& code = program_.range(turn.range);
  device_->begin_commands(commands, usage);
  const auto timestamp = [&](uint32_t index) {
    if (queries) vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries, index);
  };
  if (queries) vkCmdResetQueryPool(commands, queries, 0, uint32_t(code.size()) + 1);
  timestamp(0);
  for (size_t i = 0; i < code.size(); ++i) {
    if (turn.runs(code[i].when)) record(commands, code[i].command, steps_[size_t(turn.range)][i]);
    timestamp(uint32_t(i) + 1);
  }
  device_->end_commands(commands);
}

void VulkanExecutable::record(VkCommandBuffer commands, const Command& command, const Step& step) const {
  const auto order = [&] { record_barrier(commands); };  // with one queue, signals and waits are barriers too
  std::visit(
      overloaded{[&](const Dispatch& dispatch) { record(commands, dispatch, step); },
                 [&](const Fill& fill) { record(commands, fill); }, [&](const Copy& copy) { record(commands, copy); },
                 [](const Collective& c) { fail(Exit::internal, name_of(c.kind), "is recorded as a command"); },
                 [&](const Barrier&) { order(); }, [&](const Signal&) { order(); }, [&](const Wait&) { order(); }},
      command);
}

void VulkanExecutable::record(VkCommandBuffer commands, const Dispatch& dispatch, const Step& step) const {
  for (const Pass& pass : step) {
    if (&pass != &step.front()) record_barrier(commands);  // one pass writes the workspace, the next reads it
    vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pass.pipeline.pipeline);
    vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pass.pipeline.layout, 0, 1, &pass.set, 0,
                            nullptr);
    if (pass.parameter_bytes != 0)
      vkCmdPushConstants(commands, pass.pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, pass.parameter_bytes,
                         dispatch.parameters.data());
    vkCmdDispatch(commands, pass.grid.x, pass.grid.y, pass.grid.z);
  }
}

void VulkanExecutable::record(VkCommandBuffer commands, const Fill& fill) const {
  // whole words: operands begin at multiples of the Target's alignment, so the padding is nobody's
  const uint64_t bytes = round_up(fill.buffer.bytes, 4);
  if (bytes != 0) vkCmdFillBuffer(commands, arenas_[fill.buffer.arena]->buffer(), fill.buffer.offset, bytes, 0);
}

void VulkanExecutable::record(VkCommandBuffer commands, const Copy& copy) const {
  const VkBufferCopy region{copy.from.offset, copy.to.offset, copy.from.bytes};
  if (region.size != 0)
    vkCmdCopyBuffer(commands, arenas_[copy.from.arena]->buffer(), arenas_[copy.to.arena]->buffer(), 1, &region);
}

Timepoint VulkanExecutable::submit(Turn turn) {
  std::vector<Stretch>& stretches = stretches_[turn.index()];
  if (stretches.empty()) {
    record_stretches(turn);
    device_->check_validation();
  }
  Timepoint done;
  for (const Stretch& stretch : stretches) {
    done = device_->submit(stretch.commands);
    if (stretch.meeting == nullptr) break;
    device_->wait(done);
    run(*exchange_of(*stretch.meeting), stretch.meeting->label);
  }
  return done;
}

void VulkanExecutable::run(const Collective& collective, std::string_view label) {
  std::map<std::tuple<uint32_t, uint64_t, uint64_t>, std::vector<std::byte>>
      copies;  // bytes that the host does not see
  const auto copy_of = [&](const BufferRef& b) -> std::vector<std::byte>& {
    return copies.try_emplace({b.arena, b.offset, b.bytes}, b.bytes).first->second;
  };
  const auto seen = [&](const BufferRef& b) { return arenas_[b.arena]->mapped() != nullptr; };
  for (const Part& part : collective.from)
    if (const BufferRef from = span_of(part, program_.ranks); !seen(from))
      transfer_.read(*arenas_[from.arena], from.offset, copy_of(from));
  run_collective(*world_, collective, label, [&](const BufferRef& b) {
    return seen(b) ? arenas_[b.arena]->mapped() + b.offset : copy_of(b).data();
  });
  for (const BufferRef& to : collective.to)
    if (!seen(to)) transfer_.write(*arenas_[to.arena], to.offset, copy_of(to));
}

std::vector<Interval> VulkanExecutable::profile(Turn turn) {
  const std::vector<Instruction>& code = program_.range(turn.range);
  const bool meets = std::ranges::any_of(code, [](const Instruction& i) { return exchange_of(i) != nullptr; });
  if (device_->physical().timestamp_bits == 0 || meets) return {};
  const uint32_t count = uint32_t(code.size()) + 1;
  auto info = structure<VkQueryPoolCreateInfo>(VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO);
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = count;
  const auto queries = create<OwnedQueryPool>(device_->handle(), vkCreateQueryPool, info, "vkCreateQueryPool");
  const OwnedCommandPool pool = device_->make_command_pool();
  const VkCommandBuffer commands = device_->allocate_commands(pool.get());
  record(commands, turn, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT, queries.get());
  device_->wait(device_->submit(commands));

  std::vector<uint64_t> ticks(count);
  device_->check_device(
      vkGetQueryPoolResults(device_->handle(), queries.get(), 0, count, count * sizeof(uint64_t), ticks.data(),
                            sizeof(uint64_t), VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
      "vkGetQueryPoolResults");
  const auto seconds = [&](size_t i) {
    return double(ticks[i] - ticks[0]) * double(device_->limits().timestampPeriod) * 1e-9;
  };
  std::vector<Interval> ran;
  for (size_t i = 0; i < code.size(); ++i)
    ran.push_back(turn.runs(code[i].when) ? Interval{seconds(i), seconds(i + 1)} : Interval{});
  return ran;
}

}  // namespace tandem::vulkan
