// libFuzzer: for any lengths every target stands in one window once, and no window is too full; any bytes, those with
// the right hashes too, are read as a plan in range, or not taken.
#include "core/data/pack_plan.h"

#include <cstring>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace {

using tandem::Documents, tandem::PackPlan;

// Counts how often each token is a target.
std::vector<uint32_t> targets_of(const PackPlan& plan, uint64_t tokens, uint32_t T) {
  std::vector<uint32_t> seen(tokens);
  for (uint64_t w = 0; w < plan.window_count(); ++w) {
    uint64_t places = 0;
    for (uint64_t p = plan.windows.at(w); p < plan.windows.at(w + 1); ++p) {
      places += plan.places.at(p);
      for (uint64_t i = 1; i <= plan.places[p]; ++i) ++seen.at(plan.first.at(p) + i);
    }
    if (places > T || places == 0) __builtin_trap();
  }
  return seen;
}

void check_plan(const Documents& documents, uint32_t T) {
  const PackPlan plan = make_pack_plan(documents, T);
  const std::vector<uint32_t> seen = targets_of(plan, documents.start(documents.count()), T);
  for (uint64_t d = 0; d < documents.count(); ++d)
    for (uint64_t t = documents.start(d); t < documents.start(d + 1); ++t)
      if (seen[t] != (t == documents.start(d) ? 0u : 1u)) __builtin_trap();
  if (read_pack_plan(pack_plan_bytes(plan, documents, T), documents, T) != plan) __builtin_trap();
}

// bytes as the file of a plan for these documents, its hashes put right.
void check_file(std::vector<std::byte> bytes, const Documents& documents, uint32_t T) {
  if (const auto plan = read_pack_plan(bytes, documents, T)) targets_of(*plan, documents.start(documents.count()), T);
  if (bytes.size() < 64) return;
  const uint64_t starts = documents.hash(), count = documents.count();
  tandem::Xxh3 rest;
  rest.update(std::span(bytes).subspan(64));
  const uint64_t hash = rest.digest();
  std::memcpy(&bytes[0], "TDMPACK1", 8);
  std::memcpy(&bytes[8], &starts, 8);
  std::memcpy(&bytes[16], &hash, 8);
  std::memcpy(&bytes[24], &count, 8);
  std::memcpy(&bytes[48], &T, 4);
  std::memset(&bytes[52], 0, 12);
  if (const auto plan = read_pack_plan(bytes, documents, T)) targets_of(*plan, documents.start(documents.count()), T);
}

}  // namespace

// The first byte is T, the second the number of lengths that follow; the rest is a file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const uint32_t T = data[0] + 1u;
  const size_t count = std::min<size_t>(data[1] + 1u, size - 2);
  std::vector<uint64_t> starts = {0};
  for (size_t i = 0; i < count; ++i) starts.push_back(starts.back() + 1 + data[2 + i]);
  const Documents documents(starts);
  check_plan(documents, T);
  const auto rest = std::as_bytes(std::span(data, size)).subspan(2 + count);
  check_file({rest.begin(), rest.end()}, documents, T);
  return 0;
}
