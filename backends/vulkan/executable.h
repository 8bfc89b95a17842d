// A loaded Program: descriptors written once, command buffers recorded once: one per turn of the schedule, or more
// where ranks meet.
#pragma once

#include <optional>

#include "backends/vulkan/descriptors.h"

namespace tandem::vulkan {

class VulkanExecutable : public Executable {
 public:
  // world: of a program of several ranks; else null
  VulkanExecutable(std::shared_ptr<Device> device, Pipelines& pipelines, Transfer& transfer, World* world,
                   const Program& program, std::span<Memory* const> memories);
  ~VulkanExecutable() override;

  Timepoint submit(Turn turn) override;
  void wait(Timepoint timepoint) override { device_->wait(timepoint); }
  std::vector<Interval> profile(Turn turn) override;

 private:
  // A shader that is ready to be recorded. A dispatch takes one, or several that share its workspace.
  struct Pass {
    Pipeline pipeline;
    VkDescriptorSet set = nullptr;
    Grid grid;
    uint32_t parameter_bytes = 0;
  };

  using Step = std::vector<Pass>;

  void prepare(Pipelines& pipelines);
  Pass make_pass(Pipelines& pipelines, const Shader& shader, const Dispatch& dispatch, std::string_view label);
  Grid grid_of(const Shader& shader, const Dispatch& dispatch, std::string_view label) const;
  // queries: null, or a pool that takes a timestamp before the first instruction and after each
  void record(VkCommandBuffer commands, Turn turn, VkCommandBufferUsageFlags usage, VkQueryPool queries);
  void record_stretches(Turn turn);
  void run(const Collective& collective, std::string_view label);
  void record(VkCommandBuffer commands, const Command& command, const Step& step) const;
  void record(VkCommandBuffer commands, const Dispatch& dispatch, const Step& step) const;
  void record(VkCommandBuffer commands, const Fill& fill) const;
  void record(VkCommandBuffer commands, const Copy& copy) const;

  // Commands up to where ranks meet, through the host.
  struct Stretch {
    VkCommandBuffer commands = nullptr;
    const Instruction* meeting = nullptr;  // behind them; null: the range ends
  };

  std::shared_ptr<Device> device_;
  Transfer& transfer_;
  World* world_;
  Program program_;
  std::vector<ArenaMemory*> arenas_;
  std::array<std::vector<Step>, kRangeCount> steps_;  // one an instruction; empty but for dispatches
  std::optional<Descriptors> descriptors_;
  OwnedCommandPool pool_;
  std::array<std::vector<Stretch>, kTurnCount> stretches_;  // by turn; recorded when first submitted
};

}  // namespace tandem::vulkan
