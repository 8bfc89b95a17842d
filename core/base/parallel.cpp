#include "core/base/parallel.h"

#include <algorithm>
#include <future>
#include <thread>
#include <vector>

namespace tandem {

void parallel_for(uint64_t count, uint64_t grain, const std::function<void(uint64_t, uint64_t)>& body) {
  static const uint64_t processors = std::max(1u, std::thread::hardware_concurrency());  // It reads a file each time.
  const uint64_t grains = (count + grain - 1) / grain, parts = std::min(grains, processors);
  const auto begin = [&](uint64_t part) { return std::min(count, grains * part / parts * grain); };
  std::vector<std::future<void>> others;  // threads wait when they are destroyed
  for (uint64_t part = 1; part < parts; ++part)
    others.push_back(std::async(std::launch::async, [&, part] { body(begin(part), begin(part + 1)); }));
  if (parts > 0) body(0, begin(1));
  for (std::future<void>& other : others) other.get();
}

}  // namespace tandem
