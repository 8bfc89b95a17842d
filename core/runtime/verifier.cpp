#include "core/runtime/verifier.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/abi/numeric.h"
#include "core/base/overloaded.h"

namespace tandem {
namespace {

using Contents = std::vector<std::byte>;

Contents read(const Session& session, const BufferRef& buffer) {
  Contents bytes(buffer.bytes);
  session.read(buffer, bytes);
  return bytes;
}

bool present(const Operand& operand) {
  return operand.desc.dtype != DType::none;
}

// every element differs afterwards, and stays a valid index
void disturb(const TensorDesc& desc, Contents& bytes) {
  const auto change = [&](auto zero, auto next) {
    using T = decltype(zero);
    for (uint64_t at = 0; at + sizeof(T) <= desc.bytes(); at += sizeof(T)) {
      T value;
      std::memcpy(&value, bytes.data() + at, sizeof(T));
      value = T(next(value));
      std::memcpy(bytes.data() + at, &value, sizeof(T));
    }
  };
  switch (desc.dtype) {
    case DType::f32:
      return change(float{}, [](float x) { return x * 1.25f + 1e-6f; });
    case DType::bf16:
      return change(uint16_t{}, [](uint32_t x) { return abi::bf16_from_f32(abi::f32_from_bf16(x) * 1.25f + 1e-6f); });
    case DType::e4m3:
    case DType::u8:
    case DType::e5m3:
      return change(uint8_t{}, [](uint32_t x) { return x ^ 1u; });
    case DType::i32:
      return change(int32_t{}, [](int32_t x) { return x > 0 ? x - 1 : x; });
    case DType::u32:
      return change(uint32_t{}, [](uint32_t x) { return x ^ 0x00400000u; });
    case DType::none:
      return;
  }
}

// Codes, scales and amax words jump by powers of two when rounding moves a largest value over an edge: that is no
// drift.
bool drifts(const Operand& operand, Budget budget) {
  const DType dtype = operand.desc.dtype;
  return budget != Budget::scale && (dtype == DType::f32 || dtype == DType::bf16);
}

std::string range_of(const TensorDesc& desc, const Contents& bytes) {
  if (desc.dtype != DType::f32 && desc.dtype != DType::bf16) return {};
  double low = std::numeric_limits<double>::infinity(), high = -low;
  uint64_t odd = 0;
  const uint64_t size = size_of(desc.dtype);
  for (uint64_t i = 0; i < desc.shape.count(); ++i) {
    uint32_t code = 0;
    std::memcpy(&code, bytes.data() + i * size, size);
    const double x = desc.dtype == DType::f32 ? abi::bits_float(code) : abi::f32_from_bf16(code);
    if (!std::isfinite(x)) ++odd;
    else low = std::min(low, x), high = std::max(high, x);
  }
  return fmt::format(" in [{:.4g}, {:.4g}]{}", low, high, odd == 0 ? "" : fmt::format(" with {} not finite", odd));
}

ScratchOf larger_of(const ScratchOf& a, const ScratchOf& b) {
  if (!a || !b) return a ? a : b;
  return [a, b](OpId op, const Parameters& parameters, Operands operands) {
    return std::max(a(op, parameters, operands), b(op, parameters, operands));
  };
}

}  // namespace

Target meet(const Target& a, const Target& b) {
  // by their names, so that a new member does not compile until it is met
  const auto& [name, queues, largest_arena, largest_operand, largest_chunk, alignment, memory_bytes, reserve_bytes,
               workspace_bytes, scratch, staging_bytes, host_memory_bytes, rates] = b;
  const auto least_known = [](uint64_t x, uint64_t y) { return x == 0 || y == 0 ? std::max(x, y) : std::min(x, y); };
  Target both = a;
  both.name = fmt::format("{} and {}", a.name, name);
  both.queues = a.queues | queues;  // each backend folds what it lacks onto another
  both.largest_arena = std::min(a.largest_arena, largest_arena);
  both.largest_operand = std::min(a.largest_operand, largest_operand);
  both.largest_chunk = std::min(a.largest_chunk, largest_chunk);
  both.alignment = std::lcm(a.alignment, alignment);
  both.memory_bytes = std::min(a.memory_bytes, memory_bytes);
  both.reserve_bytes = std::max(a.reserve_bytes, reserve_bytes);
  both.workspace_bytes = std::max(a.workspace_bytes, workspace_bytes);
  both.scratch = larger_of(a.scratch, scratch);
  both.staging_bytes = std::max(a.staging_bytes, staging_bytes);
  both.host_memory_bytes = least_known(a.host_memory_bytes, host_memory_bytes);
  if (!both.rates.known()) both.rates = rates;
  return both;
}

void Verifier::run(Turn turn) {
  const std::vector<Instruction>& code = reference_.program().range(turn.range);
  for (uint32_t i = 0; i < code.size(); ++i) {
    if (!turn.runs(code[i].when)) continue;
    const InstructionId id{turn.range, i};
    const bool compared = !options_.only || options_.only == id;
    const auto run_on_both = [&](const auto&) {
      reference_.run_instruction(code[i]);
      if (!options_.only) candidate_.run_instruction(code[i]);
    };
    std::visit(overloaded{[&](const Dispatch& dispatch) {
                            if (compared) run_dispatch(id, code[i], dispatch);
                            else run_on_both(dispatch);
                          },
                          [&](const Fill& fill) { run_on_both(fill); }, [&](const Copy& copy) { run_on_both(copy); },
                          [&](const Collective& c) { run_on_both(c); }, [](const Barrier&) {}, [](const Signal&) {},
                          [](const Wait&) {}},
               code[i].command);
  }
}

void Verifier::run_dispatch(const InstructionId& id, const Instruction& instruction, const Dispatch& dispatch) {
  if (is_locked()) {
    copy_inputs(dispatch);
    poison_outputs(dispatch);
  }
  reference_.run_instruction(instruction);
  candidate_.run_instruction(instruction);
  if (options_.perturb == dispatch.op) perturb(dispatch);
  record(compare_outputs(id, instruction, dispatch), dispatch);
}

void Verifier::copy_inputs(const Dispatch& dispatch) {
  for (const Operand& o : dispatch.operands)
    if (present(o) && o.access != Access::write) candidate_.write(o.buffer, read(reference_, o.buffer));
}

// what a candidate leaves unwritten must not look right because an earlier instruction wrote it
void Verifier::poison_outputs(const Dispatch& dispatch) {
  for (const Operand& o : dispatch.operands)
    if (present(o) && o.access == Access::write) candidate_.write(o.buffer, Contents(o.buffer.bytes, std::byte{0xff}));
}

void Verifier::perturb(const Dispatch& dispatch) {
  for (const Operand& o : dispatch.operands) {
    if (!present(o) || o.access == Access::read) continue;
    Contents bytes = read(candidate_, o.buffer);
    disturb(o.desc, bytes);
    candidate_.write(o.buffer, bytes);
  }
}

InstructionDifference Verifier::compare_outputs(const InstructionId& id, const Instruction& i,
                                                const Dispatch& dispatch) {
  InstructionDifference difference{id, dispatch.op, i.label, 0, 0, {}, {}};
  const Op& op = op_of(dispatch.op);
  const Descs descs = descs_of(dispatch);
  for (size_t n = 0; n < descs.size(); ++n) {
    const Operand& o = dispatch.operands[n];
    if (!present(o) || o.access == Access::read) continue;
    const Contents a = read(candidate_, o.buffer), b = read(reference_, o.buffer);
    const Budget budget = op.budget(dispatch.parameters, descs, n);
    const Comparison c = compare(o.desc, a, b, budget, op.defined(dispatch.parameters, descs, n));
    const bool over = is_locked() ? !c.wrong.empty() : drifts(o, budget) && !(c.nmse <= kFreeBudget);
    difference.nmse = std::max(difference.nmse, c.nmse);
    difference.max_ulp = std::max(difference.max_ulp, c.max_ulp);
    if (over && difference.wrong.empty())
      difference.wrong = c.wrong.empty() ? fmt::format("NMSE {:.3g}", c.nmse) : c.wrong;
  }
  return difference;
}

void Verifier::record(InstructionDifference difference, const Dispatch& dispatch) {
  OpDifference& op = ops_[difference.op];
  ++op.instructions;
  op.nmse = std::max(op.nmse, difference.nmse);
  op.max_ulp = std::max(op.max_ulp, difference.max_ulp);
  const auto size = [](const InstructionDifference& d) { return std::pair(d.nmse, d.max_ulp); };
  if (!difference.wrong.empty() && !first_over_) {
    first_over_ = difference;
    first_over_->operands = describe_operands(dispatch);
  }
  if (!worst_ || size(difference) > size(*worst_)) worst_ = std::move(difference);
}

std::string Verifier::describe_operands(const Dispatch& dispatch) const {
  std::string text;
  for (const Operand& o : dispatch.operands) {
    if (!present(o)) continue;
    constexpr std::string_view kAccess[] = {"reads", "writes", "updates"};
    text += fmt::format("  {} {}{}\n", kAccess[size_t(o.access)], o.desc,
                        o.access == Access::read ? range_of(o.desc, read(reference_, o.buffer)) : "");
  }
  return text;
}

}  // namespace tandem
