#include "core/passes/offload.h"

#include <map>
#include <optional>
#include <tuple>

#include "core/passes/rewriter.h"
#include "core/passes/stages.h"
#include "core/passes/storage.h"

namespace tandem {
namespace {

// A root, or rows of it, as nodes use it.
struct Part {
  uint32_t root = 0;
  uint64_t first_row = 0;
  TensorDesc desc;
  bool whole = true;
};

// Uses of a part in a range, near enough to each other that it stays on the device between them.
struct Run {
  uint32_t part = 0;
  Range range = Range::begin;
  uint32_t first = 0, last = 0;  // stages
  bool made = false;             // a node makes the root here: nothing to prefetch
  bool written = false;          // made or updated in place
  // The micro-steps in which it is made, written, used, if all nodes that do so run in the same ones. What the first
  // one alone makes comes from the host in later ones.
  When made_when = When::each, written_when = When::each, when = When::each;
  bool in_whole = false;  // rows of a whole that is on the device anyway
};

enum class Home : uint8_t { device, host, zero_copy };
constexpr uint32_t kEnd = UINT32_MAX;  // behind the last stage

// What is offloaded, and when it is used.
struct Uses {
  Uses(const Graph& g, const MemoryPolicy& p)
      : graph(g), policy(p), storage(resolve_storage(g)), stages(stages_of(g)), homes(g.values().size()) {}

  const Graph& graph;
  const MemoryPolicy& policy;
  Storage storage;
  std::vector<uint32_t> stages;  // by node
  std::vector<Home> homes;       // by value, of roots
  std::vector<Part> parts;
  std::map<std::tuple<uint32_t, uint64_t, uint64_t>, uint32_t> part_index;  // by root, offset and bytes
  std::vector<Run> runs;
  std::map<std::pair<uint32_t, Range>, uint32_t> wholes;  // by part in_whole and range: the whole, a part too

  uint32_t root_of(ValueId v) const { return storage.places[v.index].root; }
  // The whole root of a part, where something uses that.
  std::optional<uint32_t> whole_of(uint32_t part) const {
    const uint32_t root = parts[part].root;
    const auto found = part_index.find({root, 0, graph.desc({root}).bytes()});
    return found == part_index.end() ? std::nullopt : std::optional(found->second);
  }
  bool on_host(ValueId v) const { return v.present() && homes[root_of(v)] == Home::host; }
  // In stages of the range.
  uint32_t distance(Range range) const {
    return range == Range::begin || range == Range::update ? policy.update_distance : policy.prefetch_distance;
  }
};

// ---- what is offloaded ----

std::optional<Offload> offload_kind(const Graph& graph, const Value& value) {
  switch (value.kind) {
    case Kind::state:
      return offload_of_state(value.state);
    case Kind::parameter:
      return Offload::parameters;
    case Kind::quantized:
      return Offload::copies;
    case Kind::gradient:
      return Offload::gradients;
    case Kind::residual:
      if (graph.nodes()[value.node].range != Range::micro_step) return {};
      return Offload::residuals;
    default:
      return {};
  }
}

Home home_of(const Graph& graph, const MemoryPolicy& policy, const Value& value) {
  if (value.lifetime == Lifetime::external || value.desc.shape.rank() < 2) return Home::device;
  if (value.rows.in_whole) return Home::device;  // what all ranks exchange stays
  const auto kind = offload_kind(graph, value);
  if (value.kind == Kind::quantized && policy.copies_of(value.layer) == Copies::remade) return Home::device;
  if (!kind || !policy.offload_of(value.layer).contains(*kind)) return Home::device;
  const bool may_read_host = is_state(*kind) || *kind == Offload::gradients;
  return may_read_host && policy.zero_copy.contains(*kind) ? Home::zero_copy : Home::host;
}

// ---- runs of uses ----

uint32_t part_of(Uses& u, ValueId v) {
  const uint32_t root = u.root_of(v);
  const TensorDesc &desc = u.graph.desc(v), &whole = u.graph.desc({root});
  const uint64_t row_bytes = whole.bytes() / whole.shape[0], offset = u.storage.places[v.index].offset;
  TANDEM_CHECK(offset % row_bytes == 0 && desc.bytes() % row_bytes == 0, "%{} is not made of rows of %{}", v.index,
               root);
  const auto [found, fresh] = u.part_index.try_emplace({root, offset, desc.bytes()}, uint32_t(u.parts.size()));
  if (fresh) u.parts.push_back({root, offset / row_bytes, desc, desc.bytes() == whole.bytes()});
  return found->second;
}

void collect_runs(Uses& u) {
  std::map<std::pair<uint32_t, Range>, uint32_t> open;  // by part and range, its last run
  // The root's whole, where it is on the device at that stage for a use of its own.
  const auto whole_at = [&](uint32_t part, Range range, uint32_t stage) -> std::optional<uint32_t> {
    if (u.parts[part].whole) return {};
    const std::optional<uint32_t> whole = u.whole_of(part);
    const auto run = whole ? open.find({*whole, range}) : open.end();
    return run == open.end() || stage - u.runs[run->second].last > 2 * u.distance(range) ? std::nullopt : whole;
  };
  const auto use = [&](ValueId v, const Node& node, uint32_t stage, bool written, bool made) {
    const uint32_t part = part_of(u, v);
    const Range range = node.range;
    const When when = node.tag.when;
    const auto before = open.find({part, range});
    if (before != open.end() && stage - u.runs[before->second].last <= 2 * u.distance(range)) {
      Run& run = u.runs[before->second];
      run.last = stage;
      if (written) run.written_when = !run.written || run.written_when == when ? when : When::each;
      run.written |= written;
      if (run.when != when) run.when = When::each;
      return;
    }
    open[{part, range}] = uint32_t(u.runs.size());
    const std::optional<uint32_t> whole = whole_at(part, range, stage);
    if (whole) u.wholes[{part, range}] = *whole;
    u.runs.push_back(
        {part, range, stage, stage, made || whole, written, made ? when : When::each, when, when, whole.has_value()});
  };
  for (uint32_t n = 0; n < u.graph.nodes().size(); ++n) {
    const Node& node = u.graph.nodes()[n];
    if (!node.is_instruction()) continue;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (u.on_host(node.inputs[i])) {
        const bool written = i + node.in_place >= node.inputs.size();
        const bool replaced =
            written && node.replaces && u.graph.desc(node.inputs[i]) == u.graph.desc({u.root_of(node.inputs[i])});
        use(node.inputs[i], node, u.stages[n], written, replaced);
      }
    for (ValueId v : node.outputs)
      if (u.on_host(v) && u.root_of(v) == v.index) use(v, node, u.stages[n], true, true);
  }
}

// A transient that never leaves the device is not offloaded.
void drop_single_runs(Uses& u) {
  std::vector<uint32_t> count(u.graph.values().size());
  for (const Run& run : u.runs) count[u.parts[run.part].root] += run.in_whole ? 0 : 1;
  std::erase_if(u.runs, [&](const Run& run) {
    const uint32_t root = u.parts[run.part].root;
    const bool stays = count[root] == 1 && u.graph.values()[root].lifetime == Lifetime::transient;
    if (stays) u.homes[root] = Home::device;
    return stays;
  });
}

// Two parts of a root that share rows are never on the device together when one of them is written.
void check_overlaps(const Uses& u) {
  std::map<uint32_t, std::vector<const Run*>> by_root;
  for (const Run& run : u.runs) by_root[u.parts[run.part].root].push_back(&run);
  for (const auto& [root, runs] : by_root)
    for (const Run* a : runs)
      for (const Run* b : runs) {
        if (a->part == b->part || a->range != b->range || !(a->written || b->written)) continue;
        if (a->in_whole || b->in_whole) continue;
        const Part &x = u.parts[a->part], &y = u.parts[b->part];
        const bool share = x.first_row < y.first_row + y.desc.shape[0] && y.first_row < x.first_row + x.desc.shape[0];
        const uint32_t reach = 2 * u.distance(a->range);
        TANDEM_CHECK(!share || a->first > b->last + reach || b->first > a->last + reach,
                     "offload: rows of {} are used in two ways at once", u.graph.values()[root].name);
      }
}

Uses uses_of(const Graph& graph, const MemoryPolicy& policy) {
  Uses u(graph, policy);
  for (const Root& root : u.storage.roots) u.homes[root.value] = home_of(graph, policy, graph.values()[root.value]);
  collect_runs(u);
  drop_single_runs(u);
  check_overlaps(u);
  return u;
}

// ---- when copies are made ----

struct Schedule {
  using Stage = std::pair<Range, uint32_t>;
  struct End {
    uint32_t node = 0, stage = 0;
  };
  struct Due {
    uint32_t part = 0;
    When when = When::each;
  };
  std::array<End, kRangeCount> ends{};                   // the last ones, by range
  std::map<Stage, std::vector<Due>> prefetches, evicts;  // before the stage's first node
};

Schedule schedule_of(const Uses& u) {
  Schedule s;
  for (uint32_t n = 0; n < u.graph.nodes().size(); ++n) s.ends[size_t(u.graph.nodes()[n].range)] = {n, u.stages[n]};
  for (const Run& run : u.runs) {
    const uint32_t ahead = u.distance(run.range), free_at = run.last + 1 + ahead;
    const bool goes_on = run.made_when == When::first && run.when == When::each;
    if (!run.made || goes_on)
      s.prefetches[{run.range, run.first - std::min(run.first, ahead)}].push_back(
          {run.part, goes_on ? When::later : run.when});
    if (run.written)
      s.evicts[{run.range, free_at <= s.ends[size_t(run.range)].stage ? free_at : kEnd}].push_back(
          {run.part, run.written_when});
  }
  return s;
}

// ---- the new graph ----

struct Offloaded {
  Rewriter rewriter;
  std::vector<ValueId> homes = {};                             // by root: where it lives on the host
  std::map<std::pair<uint32_t, Range>, ValueId> now = {};      // by part and range: where it is on the device
  std::map<std::pair<uint32_t, Range>, ValueId> evicted = {};  // by part and range
};

void make_homes(const Uses& u, Offloaded& to) {
  to.homes.resize(u.homes.size());
  for (uint32_t v = 0; v < u.homes.size(); ++v) {
    if (u.homes[v] == Home::device) continue;
    const Value& value = u.graph.values()[v];
    if (value.lifetime == Lifetime::variable) {
      to.homes[v] = to.rewriter.map({v});
      to.rewriter.graph().place_on_host(to.homes[v]);
    } else if (u.homes[v] == Home::host) {
      const Scope scope(to.rewriter.graph(), value.tag());
      to.homes[v] = to.rewriter.graph().variable(value.name, value.desc);
      to.rewriter.graph().place_on_host(to.homes[v]);
    }
  }
}

Tag tag_of(const Uses& u, uint32_t part, When when = When::each) {
  Tag tag = u.graph.values()[u.parts[part].root].tag();
  tag.when = when;
  return tag;
}

// A part on the host: in the range of an evict, what that left there.
ValueId part_on_host(const Uses& u, Offloaded& to, uint32_t part, Range range) {
  const Part& p = u.parts[part];
  if (const auto found = to.evicted.find({part, range}); found != to.evicted.end()) return found->second;
  if (p.whole) return to.homes[p.root];
  const std::optional<uint32_t> whole = u.whole_of(part);
  const auto left = whole ? to.evicted.find({*whole, range}) : to.evicted.end();
  const ValueId from = left != to.evicted.end() ? left->second : to.homes[p.root];
  const Scope scope(to.rewriter.graph(), tag_of(u, part));
  return to.rewriter.graph().slice(range, from, p.first_row, p.desc.shape[0]);
}

std::string name_of_part(const Uses& u, uint32_t part) {
  const Value& value = u.graph.values()[u.parts[part].root];
  return value.node == UINT32_MAX ? value.name : u.graph.nodes()[value.node].label.text();
}

// The copies that are due before the stage.
void emit_copies(const Uses& u, const Schedule& schedule, Offloaded& to, Range range, uint32_t stage) {
  Graph& graph = to.rewriter.graph();
  if (const auto due = schedule.evicts.find({range, stage}); due != schedule.evicts.end())
    for (const auto& [part, when] : due->second) {
      const ValueId onto = part_on_host(u, to, part, range);
      const Scope scope(graph, tag_of(u, part, when));
      to.evicted[{part, range}] = graph.copy(range, to.now.at({part, range}), onto, "evict " + name_of_part(u, part));
    }
  if (const auto due = schedule.prefetches.find({range, stage}); due != schedule.prefetches.end())
    for (const auto& [part, when] : due->second) {
      const ValueId from = part_on_host(u, to, part, range);
      const Scope scope(graph, tag_of(u, part, when));
      to.now[{part, range}] = graph.copy(range, from, {}, "prefetch " + name_of_part(u, part));
    }
}

// The device's copy of a value that lives on the host; absent where a node is still to make it. Rows of a whole that is
// there are sliced when first used.
ValueId on_device(Uses& u, Offloaded& to, ValueId v, Range range) {
  const uint32_t part = part_of(u, v);
  if (const auto whole = u.wholes.find({part, range}); whole != u.wholes.end()) {
    const Part& p = u.parts[part];
    const Scope scope(to.rewriter.graph(), tag_of(u, part));
    to.now[{part, range}] =
        to.rewriter.graph().slice(range, to.now.at({whole->second, range}), p.first_row, p.desc.shape[0]);
    u.wholes.erase(whole);
  }
  const auto found = to.now.find({part, range});
  return found == to.now.end() ? ValueId{} : found->second;
}

// The node, on what is on the device.
void emit(Uses& u, Offloaded& to, const Node& node) {
  if (!node.is_instruction() && u.on_host(node.inputs[0])) {
    TANDEM_CHECK(node.form == Form::slice, "offload: {} is a part of a concat", node.label);
    return;  // its readers take the part itself
  }
  ValueIds inputs;
  for (ValueId v : node.inputs) inputs.push_back(u.on_host(v) ? on_device(u, to, v, node.range) : to.rewriter.map(v));
  // In later micro-steps the value comes from the host.
  if (node.form == Form::fill && node.tag.when == When::first && u.on_host(node.outputs[0]))
    if (const ValueId now = on_device(u, to, node.outputs[0], node.range); now.present()) inputs = {now};
  const auto& out = to.rewriter.emit(node, node.parameters, std::move(inputs), node.tag.phase);
  for (size_t i = 0; i < out.size(); ++i) {
    const ValueId old = node.outputs[i];
    if (!out[i].present()) continue;
    const Value& value = u.graph.values()[old.index];
    to.rewriter.set(old, out[i]);
    if (u.on_host(old)) to.now[{part_of(u, old), node.range}] = out[i];
    else if (!value.name.empty()) to.rewriter.graph().keep(out[i], value.name);
    if (u.homes[old.index] == Home::zero_copy) to.rewriter.graph().place_on_host(out[i]);
  }
}

}  // namespace

Graph offload(const Graph& graph, const MemoryPolicy& policy) {
  Uses uses = uses_of(graph, policy);
  const Schedule schedule = schedule_of(uses);
  Offloaded to{Rewriter(graph)};
  make_homes(uses, to);
  std::array<uint32_t, kRangeCount> next{};  // the stage that comes, by range
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    const size_t r = size_t(node.range);
    for (; next[r] <= uses.stages[n]; ++next[r]) emit_copies(uses, schedule, to, node.range, next[r]);
    emit(uses, to, node);
    if (n == schedule.ends[r].node) emit_copies(uses, schedule, to, node.range, kEnd);
  }
  return to.rewriter.take();
}

}  // namespace tandem
