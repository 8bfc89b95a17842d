#include "core/passes/plan_memory.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "core/base/size.h"
#include "core/passes/live_bytes.h"

namespace tandem {
namespace {

struct Roots {
  const Graph& graph;
  const Storage& storage;
  const Target& target;
  std::vector<uint64_t> sizes;  // by root, aligned

  uint32_t count() const { return uint32_t(storage.roots.size()); }
  const Root& operator[](uint32_t r) const { return storage.roots[r]; }
};

Roots with_sizes(const Graph& graph, const Storage& storage, const Target& target) {
  Roots roots{graph, storage, target, {}};
  for (const Root& root : storage.roots) roots.sizes.push_back(round_up(root.bytes, target.alignment));
  return roots;
}

// ---- placing; a root that is larger than an arena may be has one of its own ----

uint64_t place_side_by_side(const Roots& roots, ArenaKind kind, const std::string& name, MemoryPlan& plan) {
  uint64_t total = 0, used = 0;
  bool open = false;
  for (uint32_t r = 0; r < roots.count(); ++r) {
    if (!roots[r].persistent || roots[r].host != (kind == ArenaKind::host)) continue;
    if (!open || used + roots.sizes[r] > roots.target.largest_arena) {
      plan.arenas.push_back({name, kind, 0});
      open = true;
      used = 0;
    }
    plan.buffers[r] = {uint32_t(plan.arenas.size() - 1), used, roots[r].bytes};
    used += roots.sizes[r];
    plan.arenas.back().bytes = used;
    total += roots.sizes[r];
  }
  return total;
}

// A root's bytes in an arena, and the nodes between which they are its own.
struct Placed {
  uint64_t offset, bytes;
  uint32_t first, last;
  uint64_t end() const { return offset + bytes; }
  bool lives_with(const Placed& other) const { return first <= other.last && other.first <= last; }
};

// An arena's bytes over the nodes of a range. Windows of 128 nodes, each beginning in the middle of the one before,
// list the roots that live in them: a root within one window is compared with that one's alone.
class Room {
 public:
  uint64_t lowest_free(const Placed& root) const {
    const size_t w = root.first / kHalf;
    if (w >= windows_.size()) return 0;
    uint64_t offset = 0;
    for (const Placed& other : root.last < (w + 2) * kHalf ? windows_[w] : all_) {
      if (!other.lives_with(root)) continue;
      if (offset + root.bytes <= other.offset) break;
      offset = std::max(offset, other.end());
    }
    return offset;
  }

  void take(const Placed& root) {
    const size_t first = root.first / kHalf, last = root.last / kHalf;
    if (windows_.size() <= last) windows_.resize(last + 1);
    for (size_t w = first - std::min<size_t>(first, 1); w <= last; ++w) insert(windows_[w], root);
    insert(all_, root);
  }

 private:
  static constexpr size_t kHalf = 64;  // nodes

  static void insert(std::vector<Placed>& by_offset, const Placed& root) {
    by_offset.insert(std::ranges::upper_bound(by_offset, root.offset, {}, &Placed::offset), root);
  }

  std::vector<std::vector<Placed>> windows_;  // each by offset
  std::vector<Placed> all_;
};

// Largest first. Workspaces come last: they live at one node each, so all of them together add at most the largest one.
std::vector<uint32_t> transients_to_place(const Roots& roots, bool staging) {
  std::vector<uint32_t> order;
  for (uint32_t r = 0; r < roots.count(); ++r)
    if (roots[r].is_transient(staging)) order.push_back(r);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const bool last_a = roots[a].workspace, last_b = roots[b].workspace;
    return last_a != last_b ? last_b : roots.sizes[a] > roots.sizes[b];
  });
  return order;
}

// Each at the lowest offset that is free during its live range (greedy by size, arXiv 2001.03288).
uint64_t place_transients(const Roots& roots, bool staging, const std::string& name, MemoryPlan& plan) {
  const uint32_t first_arena = uint32_t(plan.arenas.size());
  std::vector<std::array<Room, kRangeCount>> rooms;  // by transient arena and range
  for (const uint32_t r : transients_to_place(roots, staging)) {
    const LiveRange& live = roots[r].live;
    Placed at{0, roots.sizes[r], live.first, live.last};
    uint32_t a = 0;
    for (;; ++a) {
      if (a == rooms.size()) {
        rooms.emplace_back();
        plan.arenas.push_back({name, ArenaKind::device, 0});
      }
      at.offset = rooms[a][size_t(live.range)].lowest_free(at);
      if (at.end() <= roots.target.largest_arena || plan.arenas[first_arena + a].bytes == 0) break;
    }
    plan.buffers[r] = {first_arena + a, at.offset, roots[r].bytes};
    rooms[a][size_t(live.range)].take(at);
    Arena& arena = plan.arenas[first_arena + a];
    arena.bytes = std::max(arena.bytes, at.end());
  }
  uint64_t total = 0;
  for (uint32_t a = first_arena; a < plan.arenas.size(); ++a) total += plan.arenas[a].bytes;
  return total;
}

// ---- what does not fit ----

// The largest sum of live transients over all instructions, and one at which it is reached.
LiveBytes::Peak live_peak(const Roots& roots, bool staging) {
  return LiveBytes(roots.storage, [&](uint32_t r) { return roots[r].is_transient(staging) ? roots.sizes[r] : 0; })
      .peak();
}

std::string name_of_root(const Roots& roots, uint32_t r) {
  const Value& value = roots.graph.values()[roots[r].value];
  if (!value.name.empty()) return value.name;
  const Node& maker = roots.graph.nodes()[value.node];
  return fmt::format("{}{}{}{}", value.kind == Kind::workspace ? "workspace of " : "", name_of(maker),
                     maker.label.empty() ? "" : " of ", maker.label);
}

// Values in a kind of memory that are alive at its peak, largest first.
std::string largest_values(const Roots& roots, ArenaKind kind) {
  constexpr size_t kNamed = 5;
  const LiveBytes::Peak peaks[] = {live_peak(roots, false), live_peak(roots, true)};
  std::vector<uint32_t> alive;
  for (uint32_t r = 0; r < roots.count(); ++r) {
    const LiveRange& live = roots[r].live;
    const LiveBytes::Peak& peak = peaks[roots[r].staging];
    const bool at_peak = live.range == peak.range && live.first <= peak.at && peak.at <= live.last;
    if (roots[r].host == (kind == ArenaKind::host) && (roots[r].persistent || at_peak)) alive.push_back(r);
  }
  std::stable_sort(alive.begin(), alive.end(), [&](uint32_t a, uint32_t b) { return roots.sizes[a] > roots.sizes[b]; });
  std::vector<std::string> names;
  for (uint32_t r : std::span(alive).first(std::min(kNamed, alive.size())))
    names.push_back(
        fmt::format("{} {} {}", name_of_root(roots, r), roots.graph.desc({roots[r].value}), size_text(roots[r].bytes)));
  return fmt::format("{}", fmt::join(names, "; "));
}

constexpr std::string_view kSmaller = "use a smaller batch.micro_batch, data.sequence_length or model";

// Empty if every root and every operand of a kernel is within what the Target takes at once.
std::string too_large(const Roots& roots) {
  const Target& target = roots.target;
  for (uint32_t r = 0; r < roots.count(); ++r)
    if (roots.sizes[r] > target.largest_arena)
      return fmt::format("value {} {} takes {} bytes, the device allocates at most {} at once; {}",
                         name_of_root(roots, r), roots.graph.desc({roots[r].value}), roots.sizes[r],
                         target.largest_arena, kSmaller);
  const auto over = [&](const TensorDesc& desc) { return desc.bytes() > target.largest_operand; };
  const auto holds_much = [&](const Value& value) { return over(value.desc); };
  if (std::ranges::none_of(roots.graph.values(), holds_much)) return {};
  for (const Node& node : roots.graph.nodes()) {
    if (!node.has_kernel()) continue;
    for (const TensorDesc& desc : roots.graph.operands_of(node))
      if (desc.dtype != DType::none && over(desc))
        return fmt::format(
            "{} of {} has an operand {} of {} bytes, the device reaches at most {} in one; {}, or more "
            "memory.lm_head_chunks",
            name_of(node), node.label, desc, desc.bytes(), target.largest_operand, kSmaller);
  }
  return {};
}

// Empty if the plan is within the memory that the Target may take.
std::string over_budget(const Roots& roots, const MemoryPlan& plan) {
  const Target& target = roots.target;
  const uint64_t total = device_bytes(plan, target);
  if (total > target.memory_bytes)
    return fmt::format(
        "the plan takes {} on the device, {} of them beside the arenas, and may take {}; the largest values: {}; {}, "
        "or memory.recompute and memory.offload",
        size_text(total), size_text(total - plan.arena_bytes()), size_text(target.memory_bytes),
        largest_values(roots, ArenaKind::device), kSmaller);
  if (target.host_memory_bytes > 0 && plan.host_bytes > target.host_memory_bytes)
    return fmt::format(
        "the plan takes {} on the host and may take {}; the largest values: {}; use less of memory.offload",
        size_text(plan.host_bytes), size_text(target.host_memory_bytes), largest_values(roots, ArenaKind::host));
  return {};
}

}  // namespace

uint64_t device_bytes(const MemoryPlan& plan, const Target& target) {
  return plan.arena_bytes() + target.staging_bytes + target.reserve_bytes;
}

MemoryPlan plan_memory(const Graph& graph, const Storage& storage, const Target& target) {
  const Roots roots = with_sizes(graph, storage, target);
  MemoryPlan plan;
  plan.buffers.resize(roots.count());
  plan.persistent_bytes = place_side_by_side(roots, ArenaKind::device, "persistent", plan);
  plan.transient_bytes = place_transients(roots, false, "transient", plan);
  plan.staging_bytes = place_transients(roots, true, "staging", plan);
  plan.host_bytes = place_side_by_side(roots, ArenaKind::host, "host", plan);
  plan.lower_bound = plan.persistent_bytes + live_peak(roots, false).bytes + live_peak(roots, true).bytes;
  std::string why = too_large(roots);
  if (why.empty()) why = over_budget(roots, plan);
  if (!why.empty()) plan.shortfall = fmt::format("[{}] {}", target.name, why);
  return plan;
}

void require_fits(const MemoryPlan& plan) {
  if (!plan.fits()) throw Error(Exit::does_not_fit, plan.shortfall);
}

}  // namespace tandem
