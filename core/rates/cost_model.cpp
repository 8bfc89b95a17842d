#include "core/rates/cost_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/base/overloaded.h"
#include "core/base/size.h"
#include "core/rates/between_sizes.h"

namespace tandem {
namespace {

// Tiles that libraries have for a product, and the share of the rate that each reaches when the device is full of them.
struct Tile {
  uint64_t rows, columns;
  double share;
};
constexpr Tile kTiles[] = {{256, 128, 1.0}, {128, 256, 1.0}, {128, 128, 0.95},
                           {128, 64, 0.8},  {64, 128, 0.8},  {64, 64, 0.65}};
constexpr uint64_t kSplits[] = {1, 2, 4, 8};  // parts of the inner dimension, when there are few tiles
constexpr uint64_t kLeastSplit = 512;         // inner elements that a split keeps
constexpr double kSplitShare = 0.95;          // what a split leaves of the rate

// The share of the rate that an (m, n, k) product reaches: its tiles fill whole rounds of the multiprocessors or not.
double shape_share(const Cost::Product& p, uint32_t multiprocessors) {
  if (multiprocessors == 0) return 1;
  double best = 0;
  for (const Tile& tile : kTiles)
    for (const uint64_t split : kSplits) {
      if (split > 1 && p.k / split < kLeastSplit) continue;
      const uint64_t tiles = divide_up(p.m, tile.rows) * divide_up(p.n, tile.columns) * split;
      const uint64_t rounds = divide_up(tiles, multiprocessors);
      const double done = double(p.m) * double(p.n) * double(split);
      const double room = double(rounds * multiprocessors) * double(tile.rows * tile.columns);
      best = std::max(best, done / room * tile.share * (split > 1 ? kSplitShare : 1));
    }
  return best;
}

// The share of the rate that a product of such a size reaches, between two that were measured by the logarithm.
double size_share(const Cost::Product& p, DType dtype, const Rates& rates) {
  const auto of = [dtype](const Rates::SizeShare& s) {
    return dtype == DType::e4m3 ? s.e4m3 : dtype == DType::bf16 ? s.bf16 : s.f32;
  };
  const double n = std::cbrt(double(p.m) * double(p.n) * double(p.k));
  return between_sizes(rates.products, n, &Rates::SizeShare::n, of);
}

CostKind kind_of(CostClass c, DType first) {
  switch (c) {
    case CostClass::product:
      return first == DType::e4m3   ? CostKind::gemm_e4m3
             : first == DType::bf16 ? CostKind::gemm_bf16
                                    : CostKind::gemm_f32;
    case CostClass::attention:
    case CostClass::attention_backward:
      return CostKind::attention;
    case CostClass::gradient_norm:
    case CostClass::optimizer:
      return CostKind::optimizer;
    case CostClass::memory:
      break;
  }
  return CostKind::memory;
}

double attention_rate(const Rates& rates, bool backward, uint32_t head_dim) {
  const double forward =
      head_dim <= kNarrowHead && rates.narrow_attention > 0 ? rates.narrow_attention : rates.attention;
  if (!backward) return forward;
  if (head_dim <= kNarrowHead && rates.narrow_attention_backward > 0) return rates.narrow_attention_backward;
  return rates.attention_backward > 0 ? rates.attention_backward : forward;
}

// FLOP/s of a dispatch; attention in f32 runs outside the matrix units
double flop_rate(CostClass c, DType first, uint32_t head_dim, const Rates& rates) {
  const auto attention = [&](bool backward) {
    const double rate = attention_rate(rates, backward, head_dim);
    return first == DType::f32 ? std::min(rates.f32, rate) : rate;
  };
  switch (c) {
    case CostClass::product:
      if (first == DType::e4m3) return rates.e4m3 > 0 ? rates.e4m3 : rates.bf16;
      return first == DType::bf16 ? rates.bf16 : rates.f32;
    case CostClass::attention:
      return attention(false);
    case CostClass::attention_backward:
      return attention(true);
    default:
      return rates.f32;
  }
}

// The share of the bandwidth that a dispatch's bytes reach.
double reached_share(CostKind kind, Operands operands, const Rates& rates) {
  if (kind == CostKind::optimizer) return rates.optimizer;
  return kind == CostKind::memory && has_codes(operands) && rates.quantize > 0 ? rates.quantize : rates.passes;
}

// What takes no time in a simulation.
struct Free {
  bool copies = false, exchange = false;
};

// One turn, its queues side by side.
class Simulation {
 public:
  Simulation(const Program& program, const Rates& rates, Free free) : program_(program), rates_(rates), free_(free) {}

  ProgramCost run(Turn turn) {
    for (const Instruction& instruction : program_.range(turn.range)) {
      if (!turn.runs(instruction.when)) continue;
      double& clock = clocks_[size_t(instruction.queue)];
      busy_ = &total_.passes[instruction.backward];
      std::visit(overloaded{[&](const Dispatch& dispatch) { clock += run(cost(dispatch)); },
                            [&](const Fill& fill) { clock += run(cost(fill)); },
                            [&](const Copy& copy) { clock += run(cost(copy)); },
                            [&](const Collective& c) { clock += run(cost(c)); }, [](const Barrier&) {},
                            [&](const Signal& signal) { signalled_[signal.id] = clock; },
                            [&](const Wait& wait) { clock = std::max(clock, signalled_[wait.id]); }},
                 instruction.command);
    }
    total_.seconds = std::max({total_.link_in(), total_.link_out(), *std::ranges::max_element(clocks_)});
    return total_;
  }

 private:
  bool on_host(const BufferRef& buffer) const { return program_.arenas[buffer.arena].kind == ArenaKind::host; }

  InstructionCost cost(const Fill& fill) const {
    const double seconds = double(fill.buffer.bytes) / (rates_.passes * rates_.bandwidth);
    return {CostKind::memory, 0, fill.buffer.bytes, seconds + rates_.launch_seconds, seconds};
  }

  // what lives on the host is read and written over the link
  InstructionCost cost(const Dispatch& dispatch) {
    descs_.clear();
    double in = 0, out = 0;
    for (const Operand& operand : dispatch.operands) {
      descs_.push_back(operand.desc);
      if (operand.desc.dtype == DType::none || !on_host(operand.buffer)) continue;
      if (operand.access != Access::write) in += double(operand.buffer.bytes);
      if (operand.access != Access::read) out += double(operand.buffer.bytes);
    }
    InstructionCost c = cost_of(dispatch.op, dispatch.parameters, descs_, rates_);
    const auto seconds = [&](double operands, double rate_of_copies) {
      // an op may be of a part of an operand: one stored tensor that it stacks, one micro-step of a step's inputs
      const double bytes = std::min(operands, double(c.bytes));
      const double rate = rates_.zero_copy > 0 ? rates_.zero_copy : rate_of_copies;
      return rate > 0 ? bytes / rate : 0;
    };
    const double reads = seconds(in, rates_.host_to_device), writes = seconds(out, rates_.device_to_host);
    busy_->in += reads;
    busy_->out += writes;
    c.seconds = std::max({c.seconds, reads, writes});
    return c;
  }

  // Each rank gives and takes all parts but its own.
  InstructionCost cost(const Collective& c) {
    uint64_t bytes = 0;
    for (const BufferRef& to : c.to) bytes += to.bytes;
    bytes = bytes / program_.ranks * (program_.ranks - 1);
    const double rate = c.kind == CollectiveKind::all_gather ? rates_.links.all_gather : rates_.links.all_to_all;
    if (free_.exchange || rate <= 0) return {CostKind::exchange, 0, bytes, 0, 0};
    if (rates_.links.by_host(rates_.host_to_device)) {
      busy_->in += double(bytes) / rates_.host_to_device;
      busy_->out += double(bytes) / rates_.device_to_host;
    }
    return {CostKind::exchange, 0, bytes, double(bytes) / rate + rates_.links.latency, 0};
  }

  InstructionCost cost(const Copy& copy) {
    const bool in = on_host(copy.from), out = !in && on_host(copy.to);
    const double rate = in    ? rates_.host_to_device
                        : out ? rates_.device_to_host
                              : rates_.passes * rates_.bandwidth / 2;  // within the device: read and written
    const double seconds = free_.copies || rate <= 0 ? 0 : double(copy.from.bytes) / rate + rates_.launch_seconds;
    if (in) busy_->in += seconds;
    if (out) busy_->out += seconds;
    return {CostKind::copy, 0, copy.from.bytes, seconds, 0};
  }

  double run(const InstructionCost& c) {
    KindCost& sum = total_.kinds[size_t(c.kind)];
    ++sum.instructions;
    sum.flops += c.flops;
    sum.bytes += c.bytes;
    sum.seconds += c.seconds;
    sum.floor += c.floor;
    if (c.kind == CostKind::exchange) busy_->exchange += c.seconds;
    else if (c.kind != CostKind::copy) busy_->compute += c.seconds;
    return c.seconds;
  }

  const Program& program_;
  const Rates& rates_;
  Free free_;
  ProgramCost total_;
  ProgramCost::Busy* busy_ = nullptr;  // the pass of total_ in which the instruction counts
  std::array<double, kQueueCount> clocks_{};
  std::map<uint32_t, double> signalled_;
  mutable Descs descs_;
};

}  // namespace

bool has_codes(Operands operands) {
  return std::ranges::any_of(operands, [](const TensorDesc& d) { return d.dtype == DType::e4m3; });
}

std::string_view name_of(CostKind c) {
  constexpr std::string_view kNames[] = {"e4m3 products", "bf16 products", "f32 products", "attention",
                                         "memory passes", "optimizer",     "copies",       "exchange"};
  return kNames[size_t(c)];
}

double ProgramCost::floor() const {
  return std::accumulate(kinds.begin(), kinds.end(), 0.0, [](double sum, const KindCost& c) { return sum + c.floor; });
}

uint64_t ProgramCost::flops() const {
  return std::accumulate(kinds.begin(), kinds.end(), uint64_t{0},
                         [](uint64_t sum, const KindCost& c) { return sum + c.flops; });
}

void ProgramCost::Busy::add(const Busy& other, double times) {
  compute += times * other.compute;
  in += times * other.in;
  out += times * other.out;
  exchange += times * other.exchange;
}

ProgramCost& ProgramCost::add(const ProgramCost& other, int64_t times) {
  for (size_t c = 0; c < kCostKindCount; ++c) {
    kinds[c].instructions += uint64_t(times) * other.kinds[c].instructions;
    kinds[c].flops += uint64_t(times) * other.kinds[c].flops;
    kinds[c].bytes += uint64_t(times) * other.kinds[c].bytes;
    kinds[c].seconds += double(times) * other.kinds[c].seconds;
    kinds[c].floor += double(times) * other.kinds[c].floor;
  }
  seconds += double(times) * other.seconds;
  exposed_copy += double(times) * other.exposed_copy;
  exposed_exchange += double(times) * other.exposed_exchange;
  for (size_t p = 0; p < passes.size(); ++p) passes[p].add(other.passes[p], double(times));
  return *this;
}

CostKind kind_of(OpId op, Operands operands) {
  return kind_of(op_of(op).cost_class, operands[0].dtype);
}

InstructionCost cost_of(OpId op, const Parameters& parameters, Operands operands, const Rates& rates) {
  TANDEM_CHECK(rates.known(), "a cost needs the device's rates");
  const Op& row = op_of(op);
  const Cost cost = row.cost(parameters, operands);
  const DType first = operands[0].dtype;
  const CostKind kind = kind_of(row.cost_class, first);
  const double work = double(cost.flops) / flop_rate(row.cost_class, first, cost.head_dim, rates);
  const double moved = double(cost.bytes) / (reached_share(kind, operands, rates) * rates.bandwidth);
  double share = 1;
  if (row.cost_class == CostClass::product)
    share = rates.products.empty() ? shape_share(cost.product, rates.multiprocessors)
                                   : size_share(cost.product, first, rates);
  return {kind, cost.flops, cost.bytes, std::max(work / share, moved) + rates.launch_seconds, std::max(work, moved)};
}

ProgramCost cost_of(const Program& program, Turn turn, const Rates& rates, Exposed exposed) {
  ProgramCost cost = Simulation(program, rates, {}).run(turn);
  const auto seconds = [&](CostKind kind, Free free) {
    if (exposed == Exposed::without || cost.of(kind).instructions == 0) return 0.0;
    return cost.seconds - Simulation(program, rates, free).run(turn).seconds;
  };
  cost.exposed_copy = seconds(CostKind::copy, {.copies = true});
  cost.exposed_exchange = seconds(CostKind::exchange, {.exchange = true});
  return cost;
}

std::vector<ProgramCost> costs_of_turns(const Program& program, const Rates& rates, Exposed exposed) {
  std::vector<ProgramCost> costs;
  for (const Turns& turns : program.schedule) costs.push_back(cost_of(program, turns.turn, rates, exposed));
  return costs;
}

ProgramCost cost_of_step(const Program& program, std::span<const ProgramCost> turns) {
  ProgramCost step;
  for (size_t i = 0; i < turns.size(); ++i) step.add(turns[i], program.schedule[i].times);
  return step;
}

ProgramCost cost_of_step(const Program& program, const Rates& rates) {
  return cost_of_step(program, costs_of_turns(program, rates, Exposed::with));
}

}  // namespace tandem
