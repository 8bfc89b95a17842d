// What crosses ranks between GPUs: by copies (copy_communicator.h), or by NCCL, which lives in a module of its own,
// libtandem-nccl.so, beside the CUDA backend's, which opens it when ranks join: so one GPU needs no NCCL. NVLink
// multicast is always off: the module sets NCCL_NVLS_ENABLE=0 before NCCL starts.
#pragma once

#include <cuda_runtime.h>

#include <memory>

#include "backends/cuda/exchange_calls.h"

namespace tandem::cuda {

// One rank's end. All ranks make the same calls of run in the same order.
class Communicator {
 public:
  virtual ~Communicator() = default;  // waits for the peers' ends, unless one has failed
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual std::string_view name() const = 0;  // "nccl", "copy"
  // One group, behind all on the stream; returns when it is on its way there.
  virtual void run(std::span<const ExchangeCall> calls, cudaStream_t stream) = 0;
  virtual void barrier(std::string_view label) = 0;  // among the hosts
  // Throws Exit::device once a peer or NCCL has failed. Then, and after abort, nothing on the device waits for peers.
  virtual void check() = 0;
  virtual void abort() noexcept = 0;

 protected:
  Communicator() = default;
};

// What the module exports: the id of its build, and what makes a rank's end on the thread's current device.
constexpr const char* kNcclModuleBuild = "tandem_nccl_build";
using NcclModuleEntry = Communicator* (*)(World& world);  // the caller owns what comes back
constexpr const char* kNcclModuleEntry = "tandem_nccl_module";

// Opens the module and connects the ranks of world, which outlives what comes back. Exit::device says what is missing.
std::unique_ptr<Communicator> connect(World& world);
bool has_nccl();  // The module opens.

}  // namespace tandem::cuda
