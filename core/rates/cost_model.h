// Predicted seconds of a Program on a Target, from the Target's rates. A matrix product takes the longer of its FLOPs,
// at the rate of its operands' dtype and the share of it that its shape reaches, and its bytes; any other dispatch the
// longer of its FLOPs and its bytes, at the share of the bandwidth that passes reach; each one a launch besides. Queues
// run beside each other and wait as their signals say; what crosses the link to the host one way shares it.
#pragma once

#include <array>

#include "core/program/program.h"
#include "core/runtime/backend.h"

namespace tandem {

// The rows of a plan's table of seconds.
enum class CostKind : uint8_t {
  gemm_e4m3,
  gemm_bf16,
  gemm_f32,
  attention,
  memory,     // passes over activations: norms, SwiGLU, RoPE, quantize, cross entropy, ...
  optimizer,  // and the gradient norm
  copy,
  exchange,  // between ranks
};
constexpr size_t kCostKindCount = size_t(CostKind::exchange) + 1;
std::string_view name_of(CostKind c);

bool has_codes(Operands operands);  // e4m3 ones: a pass over them runs at Rates::quantize

// A dispatch, fill, copy or exchange, alone on the device.
struct InstructionCost {
  CostKind kind = CostKind::memory;
  uint64_t flops = 0, bytes = 0;
  double seconds = 0;
  double floor = 0;  // with no launch, and a product of a shape that fills the device; of a copy: 0
};

CostKind kind_of(OpId op, Operands operands);

// Rates must be known. operands: as in Dispatch, all on the device.
InstructionCost cost_of(OpId op, const Parameters& parameters, Operands operands, const Rates& rates);

struct KindCost {
  uint64_t instructions = 0, flops = 0, bytes = 0;
  double seconds = 0, floor = 0;
};

struct ProgramCost {
  std::array<KindCost, kCostKindCount> kinds{};
  double seconds = 0;           // from the first instruction to the last one's end
  double exposed_copy = 0;      // seconds of them in which compute waits for copies
  double exposed_exchange = 0;  // and for other ranks
  // Seconds for which a range's forward and backward pass keep the device, the link to and from the host and the links
  // to other ranks busy; in: host to device, zero-copy access too. A range of neither counts in the first.
  struct Busy {
    double compute = 0, in = 0, out = 0, exchange = 0;

    void add(const Busy& other, double times);
  };
  std::array<Busy, 2> passes{};

  double link_in() const { return passes[0].in + passes[1].in; }
  double link_out() const { return passes[0].out + passes[1].out; }

  const KindCost& of(CostKind c) const { return kinds[size_t(c)]; }
  double floor() const;
  uint64_t flops() const;
  ProgramCost& add(const ProgramCost& other, int64_t times);  // negative: takes off what was added
};

// without: exposed seconds stay 0, each of which would take another simulation.
enum class Exposed : uint8_t { with, without };
ProgramCost cost_of(const Program& program, Turn turn, const Rates& rates, Exposed exposed = Exposed::with);

// What each turn of the schedule costs, and their sum.
std::vector<ProgramCost> costs_of_turns(const Program& program, const Rates& rates, Exposed exposed);
ProgramCost cost_of_step(const Program& program, std::span<const ProgramCost> turns);
ProgramCost cost_of_step(const Program& program, const Rates& rates);

}  // namespace tandem
