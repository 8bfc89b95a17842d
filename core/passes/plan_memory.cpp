#include "core/passes/plan_memory.h"

#include <algorithm>
#include <map>

namespace tandem {
namespace {

uint64_t round_up(uint64_t n, uint64_t to) {
  return (n + to - 1) / to * to;
}

class Planner {
 public:
  Planner(const Graph& graph, const Storage& storage, const Target& target)
      : graph_(graph), storage_(storage), target_(target) {
    plan_.buffers.resize(storage.roots.size());
  }

  MemoryPlan run() {
    plan_.persistent_bytes = place_side_by_side(ArenaKind::device, "persistent");
    place_transients();
    plan_.host_bytes = place_side_by_side(ArenaKind::host, "host");
    plan_.lower_bound = plan_.persistent_bytes + live_peak();
    check_fits();
    return std::move(plan_);
  }

 private:
  uint64_t size_of(uint32_t root) const { return round_up(storage_.roots[root].bytes, target_.alignment); }

  void check_size(uint32_t root) const {
    const Value& value = graph_.values()[storage_.roots[root].value];
    if (size_of(root) > target_.largest_arena)
      fail(Exit::does_not_fit, target_.name,
           "value {} {} takes {} bytes, the device allocates at most {} at once; use a smaller "
           "micro_batch or model",
           value.name, value.desc, size_of(root), target_.largest_arena);
  }

  uint64_t place_side_by_side(ArenaKind kind, const std::string& name) {
    uint64_t total = 0, used = 0;
    bool open = false;
    for (uint32_t r = 0; r < storage_.roots.size(); ++r) {
      const Root& root = storage_.roots[r];
      if (!root.persistent || root.host != (kind == ArenaKind::host)) continue;
      check_size(r);
      if (!open || used + size_of(r) > target_.largest_arena) {
        plan_.arenas.push_back({name, kind, 0});
        open = true;
        used = 0;
      }
      plan_.buffers[r] = {uint32_t(plan_.arenas.size() - 1), used, root.bytes};
      used += size_of(r);
      plan_.arenas.back().bytes = used;
      total += size_of(r);
    }
    return total;
  }

  // Largest first, each at the lowest offset that is free during its live range (greedy by size, arXiv 2001.03288).
  void place_transients() {
    std::vector<uint32_t> order;
    for (uint32_t r = 0; r < storage_.roots.size(); ++r)
      if (!storage_.roots[r].persistent && !storage_.roots[r].host) order.push_back(r);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return size_of(a) > size_of(b); });

    const uint32_t first_arena = uint32_t(plan_.arenas.size());
    std::vector<std::vector<uint32_t>> placed;  // by transient arena, sorted by offset
    for (uint32_t r : order) {
      check_size(r);
      uint32_t a = 0;
      for (;; ++a) {
        if (a == placed.size()) {
          placed.emplace_back();
          plan_.arenas.push_back({"transient", ArenaKind::device, 0});
        }
        const uint64_t offset = lowest_free(placed[a], r);
        if (offset + size_of(r) > target_.largest_arena) continue;
        plan_.buffers[r] = {first_arena + a, offset, storage_.roots[r].bytes};
        break;
      }
      const auto by_offset = [&](uint32_t x, uint32_t y) { return plan_.buffers[x].offset < plan_.buffers[y].offset; };
      placed[a].insert(std::upper_bound(placed[a].begin(), placed[a].end(), r, by_offset), r);
      Arena& arena = plan_.arenas[first_arena + a];
      arena.bytes = std::max(arena.bytes, plan_.buffers[r].offset + size_of(r));
    }
    for (uint32_t a = first_arena; a < plan_.arenas.size(); ++a) plan_.transient_bytes += plan_.arenas[a].bytes;
  }

  bool live_together(uint32_t a, uint32_t b) const {
    const LiveRange &x = storage_.roots[a].live, &y = storage_.roots[b].live;
    return x.range == y.range && x.first <= y.last && y.first <= x.last;
  }

  uint64_t lowest_free(const std::vector<uint32_t>& placed, uint32_t root) const {
    uint64_t offset = 0;
    for (uint32_t other : placed) {
      if (!live_together(other, root)) continue;
      if (offset + size_of(root) <= plan_.buffers[other].offset) break;
      offset = std::max(offset, plan_.buffers[other].offset + size_of(other));
    }
    return offset;
  }

  // the largest sum of live transients over all instructions
  uint64_t live_peak() const {
    std::map<std::pair<Range, uint32_t>, int64_t> change;
    for (uint32_t r = 0; r < storage_.roots.size(); ++r) {
      const Root& root = storage_.roots[r];
      if (root.persistent || root.host) continue;
      change[{root.live.range, root.live.first}] += int64_t(size_of(r));
      change[{root.live.range, root.live.last + 1}] -= int64_t(size_of(r));
    }
    int64_t live = 0, peak = 0;
    for (const auto& [at, delta] : change) peak = std::max(peak, live += delta);
    return uint64_t(peak);
  }

  void check_fits() const {
    const uint64_t total = plan_.device_bytes() + target_.fixed_bytes();
    if (total <= target_.memory_bytes) return;
    std::vector<uint32_t> largest(storage_.roots.size());
    for (uint32_t r = 0; r < largest.size(); ++r) largest[r] = r;
    std::stable_sort(largest.begin(), largest.end(), [&](uint32_t a, uint32_t b) { return size_of(a) > size_of(b); });
    std::string names;
    for (uint32_t i = 0; i < std::min<size_t>(5, largest.size()); ++i) {
      const Value& value = graph_.values()[storage_.roots[largest[i]].value];
      const std::string_view maker = value.node == UINT32_MAX ? "" : name_of(graph_.nodes()[value.node].op);
      names += fmt::format("{}{} {}", i == 0 ? "" : "; ", value.name.empty() ? maker : value.name, value.desc);
    }
    fail(Exit::does_not_fit, target_.name,
         "the plan takes {:.2f} GiB, {:.2f} GiB are free; the largest values: {}; use a smaller "
         "batch.micro_batch, data.sequence_length or model",
         double(total) / (1 << 30), double(target_.memory_bytes) / (1 << 30), names);
  }

  const Graph& graph_;
  const Storage& storage_;
  const Target& target_;
  MemoryPlan plan_;
};

}  // namespace

MemoryPlan plan_memory(const Graph& graph, const Storage& storage, const Target& target) {
  return Planner(graph, storage, target).run();
}

}  // namespace tandem
