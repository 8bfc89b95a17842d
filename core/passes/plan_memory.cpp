#include "core/passes/plan_memory.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "core/base/size.h"

namespace tandem {
namespace {

class Planner {
 public:
  Planner(const Graph& graph, const Storage& storage, const Target& target)
      : graph_(graph), storage_(storage), target_(target) {
    plan_.buffers.resize(storage.roots.size());
    for (const Root& root : storage.roots) sizes_.push_back(round_up(root.bytes, target.alignment));
  }

  MemoryPlan run() {
    plan_.persistent_bytes = place_side_by_side(ArenaKind::device, "persistent");
    plan_.transient_bytes = place_transients(false, "transient");
    plan_.staging_bytes = place_transients(true, "staging");
    plan_.host_bytes = place_side_by_side(ArenaKind::host, "host");
    plan_.lower_bound = plan_.persistent_bytes + live_peak(false).bytes + live_peak(true).bytes;
    check_fits();
    return std::move(plan_);
  }

 private:
  uint64_t size_of(uint32_t root) const { return sizes_[root]; }

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

  bool transient(const Root& root, bool staging) const {
    return !root.persistent && !root.host && root.staging == staging;
  }

  // Largest first, each at the lowest offset that is free during its live range (greedy by size, arXiv 2001.03288).
  // Workspaces come last: they live at one node each, so all of them together add at most the largest one.
  uint64_t place_transients(bool staging, const std::string& name) {
    std::vector<uint32_t> order;
    for (uint32_t r = 0; r < storage_.roots.size(); ++r)
      if (transient(storage_.roots[r], staging)) order.push_back(r);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      const bool last_a = storage_.roots[a].workspace, last_b = storage_.roots[b].workspace;
      return last_a != last_b ? last_b : size_of(a) > size_of(b);
    });

    const uint32_t first_arena = uint32_t(plan_.arenas.size());
    std::vector<std::array<std::vector<Placed>, kRangeCount>> placed;  // by transient arena and range, by offset
    for (uint32_t r : order) {
      check_size(r);
      const Root& root = storage_.roots[r];
      Placed at{0, size_of(r), root.live.first, root.live.last};
      uint32_t a = 0;
      for (;; ++a) {
        if (a == placed.size()) {
          placed.emplace_back();
          plan_.arenas.push_back({name, ArenaKind::device, 0});
        }
        at.offset = lowest_free(placed[a][size_t(root.live.range)], at);
        if (at.end() <= target_.largest_arena) break;
      }
      plan_.buffers[r] = {first_arena + a, at.offset, root.bytes};
      std::vector<Placed>& beside = placed[a][size_t(root.live.range)];
      beside.insert(std::ranges::upper_bound(beside, at.offset, {}, &Placed::offset), at);
      Arena& arena = plan_.arenas[first_arena + a];
      arena.bytes = std::max(arena.bytes, at.end());
    }
    uint64_t total = 0;
    for (uint32_t a = first_arena; a < plan_.arenas.size(); ++a) total += plan_.arenas[a].bytes;
    return total;
  }

  // A root's bytes in an arena, and the nodes between which they are its own. A search for room reads very many.
  struct Placed {
    uint64_t offset, bytes;
    uint32_t first, last;
    uint64_t end() const { return offset + bytes; }
    bool lives_with(const Placed& other) const { return first <= other.last && other.first <= last; }
  };

  static uint64_t lowest_free(const std::vector<Placed>& placed, const Placed& root) {
    uint64_t offset = 0;
    for (const Placed& other : placed) {
      if (!other.lives_with(root)) continue;
      if (offset + root.bytes <= other.offset) break;
      offset = std::max(offset, other.end());
    }
    return offset;
  }

  // the largest sum of live transients over all instructions, and one at which it is reached
  struct Peak {
    uint64_t bytes = 0;
    LiveRange at;
  };
  Peak live_peak(bool staging) const {
    std::map<std::pair<Range, uint32_t>, int64_t> change;
    for (uint32_t r = 0; r < storage_.roots.size(); ++r) {
      const Root& root = storage_.roots[r];
      if (!transient(root, staging)) continue;
      change[{root.live.range, root.live.first}] += int64_t(size_of(r));
      change[{root.live.range, root.live.last + 1}] -= int64_t(size_of(r));
    }
    int64_t live = 0;
    Peak peak;
    for (const auto& [at, delta] : change)
      if ((live += delta) > int64_t(peak.bytes)) peak = {uint64_t(live), {at.first, at.second, at.second}};
    return peak;
  }

  std::string name_of_root(uint32_t r) const {
    const Value& value = graph_.values()[storage_.roots[r].value];
    if (!value.name.empty()) return value.name;
    const Node& maker = graph_.nodes()[value.node];
    return fmt::format("{}{}{}{}", value.kind == Kind::workspace ? "workspace of " : "", name_of(maker),
                       maker.label.empty() ? "" : " of ", maker.label);
  }

  // Values in a kind of memory that are alive at its peak, largest first
  std::string largest_values(ArenaKind kind) const {
    const LiveRange peaks[] = {live_peak(false).at, live_peak(true).at};
    std::vector<uint32_t> alive;
    for (uint32_t r = 0; r < storage_.roots.size(); ++r) {
      const Root& root = storage_.roots[r];
      const LiveRange& at = peaks[root.staging];
      const bool at_peak = root.live.range == at.range && root.live.first <= at.first && at.first <= root.live.last;
      if (root.host == (kind == ArenaKind::host) && (root.persistent || at_peak)) alive.push_back(r);
    }
    std::stable_sort(alive.begin(), alive.end(), [&](uint32_t a, uint32_t b) { return size_of(a) > size_of(b); });
    std::vector<std::string> names;
    for (uint32_t r : std::span(alive).first(std::min<size_t>(5, alive.size())))
      names.push_back(fmt::format("{} {} {}", name_of_root(r), graph_.desc({storage_.roots[r].value}),
                                  size_text(storage_.roots[r].bytes)));
    return fmt::format("{}", fmt::join(names, "; "));
  }

  void check_fits() const {
    const uint64_t total = device_bytes(plan_, target_);
    if (total > target_.memory_bytes)
      fail(
          Exit::does_not_fit, target_.name,
          "the plan takes {} on the device, {} of them beside the arenas, and may take {}; the largest values: {}; use "
          "a smaller batch.micro_batch, data.sequence_length or model, or memory.recompute and memory.offload",
          size_text(total), size_text(total - plan_.arena_bytes()), size_text(target_.memory_bytes),
          largest_values(ArenaKind::device));
    if (target_.host_memory_bytes > 0 && plan_.host_bytes > target_.host_memory_bytes)
      fail(Exit::does_not_fit, target_.name,
           "the plan takes {} on the host and may take {}; the largest values: {}; use less of memory.offload",
           size_text(plan_.host_bytes), size_text(target_.host_memory_bytes), largest_values(ArenaKind::host));
  }

  const Graph& graph_;
  const Storage& storage_;
  const Target& target_;
  std::vector<uint64_t> sizes_;  // by root, aligned
  MemoryPlan plan_;
};

}  // namespace

uint64_t device_bytes(const MemoryPlan& plan, const Target& target) {
  return plan.arena_bytes() + target.staging_bytes + target.reserve_bytes;
}

MemoryPlan plan_memory(const Graph& graph, const Storage& storage, const Target& target) {
  return Planner(graph, storage, target).run();
}

}  // namespace tandem
