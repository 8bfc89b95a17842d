#include "tests/bench/bench.h"

#include <algorithm>

#include "core/abi/gemm.h"
#include "core/runtime/profile.h"

#ifdef TANDEM_CUDA
#include "backends/cuda/cuda.h"
#endif
#ifdef TANDEM_VULKAN
#include "backends/vulkan/vulkan.h"
#endif

namespace tandem::bench {

Registry backends() {
  Registry registry;
#ifdef TANDEM_CUDA
  registry.add(cuda_backend());
#endif
#ifdef TANDEM_VULKAN
  registry.add(vulkan_backend());
#endif
  return registry;
}

int exit_of(std::string_view name, const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    fmt::print(stderr, "{}: {}\n", name, error.what());
    return int(error.exit());
  }
  return 0;
}

static std::string name_of_share(const Dispatch& dispatch, By by) {
  const std::string_view op = name_of(dispatch.op);
  if (dispatch.op != OpId::gemm) return std::string(op);
  const std::string gemm = fmt::format("{} {}", op, name_of(dispatch.operands[0].desc.dtype));
  if (by == By::op) return gemm;
  const auto p = dispatch.parameters.as<abi::Gemm>();
  return fmt::format("{} {} x {} x {}{}", gemm, p.m, p.n, p.k, p.accumulate == 1 ? " +" : "");
}

void add_shares(Session& session, const Turns& turns, const Rates& rates, By by, std::map<std::string, Share>& by_op) {
  const uint32_t times = turns.times;
  for (const DispatchTime& t : time_dispatches(session, turns.turn)) {
    const Descs descs = descs_of(*t.dispatch);
    Share& share = by_op[name_of_share(*t.dispatch, by)];
    share.seconds += t.seconds * times;
    if (rates.known()) {
      const InstructionCost known = cost_of(t.dispatch->op, t.dispatch->parameters, descs, rates);
      share.floor += known.floor * times;
      share.library = known.kind != CostKind::memory && known.kind != CostKind::optimizer;
    }
    share.flops += t.cost.flops * times;
    share.bytes += t.cost.bytes * times;
    share.dispatches += times;
  }
}

void print_shares(const std::map<std::string, Share>& by_op) {
  double total = 0;
  std::vector<std::pair<std::string, Share>> rows(by_op.begin(), by_op.end());
  for (const auto& [op, s] : rows) total += s.seconds;
  std::ranges::sort(rows, [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  for (const auto& [op, s] : rows)
    fmt::print("{:<36} {:5.1f}%  {:9.3f} ms (floor {:9.3f})  {:5} dispatches  {:8.3f} TFLOP/s  {:7.1f} GB/s\n", op,
               100 * s.seconds / total, 1e3 * s.seconds, 1e3 * s.floor, s.dispatches,
               double(s.flops) / s.seconds * 1e-12, double(s.bytes) / s.seconds * 1e-9);
}

}  // namespace tandem::bench
