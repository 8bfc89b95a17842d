// What the benchmarks share: a device by name, and where the time of a Program goes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/base/median.h"
#include "core/rates/cost_model.h"
#include "core/runtime/registry.h"
#include "core/runtime/session.h"

namespace tandem::bench {

Registry backends();  // this build's

// Runs a benchmark. Returns its exit code: 0, or an Error's, which is printed behind the name.
int exit_of(std::string_view name, const std::function<void()>& run);

struct Share {
  double seconds = 0;
  double floor = 0;      // seconds at the rates of the device's table; 0 where they are not known
  bool library = false;  // a matrix product or attention
  uint64_t flops = 0, bytes = 0, dispatches = 0;
};
enum class By { op, shape };
// By op, a gemm's by its operands' dtype; by shape also by m, n, k. Runs the turn once, instruction by instruction, and
// adds it as often as the turns say.
void add_shares(Session& session, const Turns& turns, const Rates& rates, By by, std::map<std::string, Share>& by_op);
// one line per op, the longest first: share of the total, milliseconds, those of the floor, dispatches, TFLOP/s, GB/s
void print_shares(const std::map<std::string, Share>& by_op);

}  // namespace tandem::bench
