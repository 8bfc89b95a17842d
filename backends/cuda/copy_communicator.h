// Exchanges by copy engines between ranks that are threads of this process: each rank copies what it gets out of its
// peers' memory, so that no multiprocessor is taken. Where a GPU cannot reach another's memory the driver goes through
// the host's.
#pragma once

#include "backends/cuda/device.h"

namespace tandem::cuda {

// Whether the ranks are threads of this process.
bool ranks_are_threads(World& world);

// Lets this GPU read its peers' memory; true if every rank's can. TANDEM_PEER=0: none does. Called by all ranks.
bool reach_peers(Device& device, World& world);

class CopyCommunicator : public Communicator {
 public:
  CopyCommunicator(Device& device, World& world) : device_(device), world_(world) {}

  std::string_view name() const override { return "copy"; }
  void run(std::span<const ExchangeCall> calls, cudaStream_t stream) override;
  void barrier(std::string_view label) override { world_.barrier(label); }
  void check() override { world_.check(); }
  void abort() noexcept override {}  // What waits on the device waits for events that were recorded.

 private:
  // Calls read with what each rank shows, once all that ranks have put on their streams comes first on this one.
  void meet(std::string_view label, std::span<const ExchangeCall> calls, const OwnedEvent& event, cudaStream_t stream,
            const World::Read& read);
  void take(std::span<const ExchangeCall> mine, std::span<const ExchangeCall> theirs, uint32_t rank,
            cudaStream_t stream);
  void take_largest(const ExchangeCall& call, cudaStream_t stream);

  Device& device_;
  World& world_;
  OwnedEvent ready_ = make_event(), copied_ = make_event();
};

}  // namespace tandem::cuda
