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
};

class Offloader {
 public:
  Offloader(const Graph& graph, const MemoryPolicy& policy)
      : graph_(graph), policy_(policy), storage_(resolve_storage(graph)), stages_(stages_of(graph)), rewriter_(graph) {
    choose_roots();
    for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
      if (graph.nodes()[n].is_instruction()) collect_uses(n);
      ends_[size_t(graph.nodes()[n].range)] = {n, stages_[n]};
    }
    drop_single_runs();
    check_overlaps();
    for (const Run& run : runs_) schedule(run);
  }

  Graph run() {
    make_homes();
    current_.resize(parts_.size());
    for (uint32_t n = 0; n < graph_.nodes().size(); ++n) {
      const Node& node = graph_.nodes()[n];
      for (; next_[size_t(node.range)] <= stages_[n]; ++next_[size_t(node.range)])
        copies(node.range, next_[size_t(node.range)]);
      copy(node);
      if (n == ends_[size_t(node.range)].node) copies(node.range, kEnd);
    }
    return rewriter_.take();
  }

 private:
  static constexpr uint32_t kEnd = UINT32_MAX;  // behind the last stage
  enum class Place : uint8_t { device, host, zero_copy };

  // ---- what is offloaded ----

  void choose_roots() {
    place_.assign(graph_.values().size(), Place::device);
    for (const Root& root : storage_.roots) {
      const Value& value = graph_.values()[root.value];
      if (value.lifetime == Lifetime::external || value.desc.shape.rank() < 2) continue;
      if (value.rows.in_whole) continue;  // what all ranks exchange stays
      const auto kind = offload_kind(value);
      if (value.kind == Kind::quantized && policy_.copies_of(value.layer) != Copies::with_parameters) continue;
      if (!kind || !policy_.offload_of(value.layer).contains(*kind)) continue;
      const bool may_read_host = *kind != Offload::parameters && *kind != Offload::residuals;
      place_[root.value] = may_read_host && policy_.zero_copy.contains(*kind) ? Place::zero_copy : Place::host;
    }
  }

  std::optional<Offload> offload_kind(const Value& value) const {
    switch (value.kind) {
      case Kind::state:
        return offload_of_state(value.state);
      case Kind::parameter:
      case Kind::quantized:
        return Offload::parameters;
      case Kind::gradient:
        return Offload::gradients;
      case Kind::residual:
        if (graph_.nodes()[value.node].range != Range::micro_step) return {};
        return Offload::residuals;
      default:
        return {};
    }
  }

  uint32_t root_of(ValueId v) const { return storage_.places[v.index].root; }
  bool on_host(ValueId v) const { return v.present() && place_[root_of(v)] == Place::host; }

  // in stages of the range
  uint32_t distance(Range range) const {
    return range == Range::begin || range == Range::update ? policy_.update_distance : policy_.prefetch_distance;
  }

  // ---- runs of uses ----

  uint32_t part_of(ValueId v) {
    const uint32_t root = root_of(v);
    const TensorDesc &desc = graph_.desc(v), &whole = graph_.desc({root});
    const uint64_t row_bytes = whole.bytes() / whole.shape[0], offset = storage_.places[v.index].offset;
    TANDEM_CHECK(offset % row_bytes == 0 && desc.bytes() % row_bytes == 0, "%{} is not made of rows of %{}", v.index,
                 root);
    const auto [found, fresh] = part_index_.try_emplace({root, offset, desc.bytes()}, uint32_t(parts_.size()));
    if (fresh) parts_.push_back({root, offset / row_bytes, desc, desc.bytes() == whole.bytes()});
    return found->second;
  }

  void collect_uses(uint32_t n) {
    const Node& node = graph_.nodes()[n];
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (on_host(node.inputs[i]))
        use(part_of(node.inputs[i]), node.range, stages_[n], i + node.in_place >= node.inputs.size(), false);
    for (ValueId v : node.outputs)
      if (on_host(v) && root_of(v) == v.index) use(part_of(v), node.range, stages_[n], true, true);
  }

  void use(uint32_t part, Range range, uint32_t stage, bool written, bool made) {
    const auto open = open_.find({part, range});
    if (open != open_.end() && stage - runs_[open->second].last <= 2 * distance(range)) {
      Run& run = runs_[open->second];
      run.last = stage;
      run.written |= written;
      return;
    }
    open_[{part, range}] = uint32_t(runs_.size());
    runs_.push_back({part, range, stage, stage, made, written});
  }

  // a transient that never leaves the device
  void drop_single_runs() {
    std::vector<uint32_t> count(graph_.values().size());
    for (const Run& run : runs_) ++count[parts_[run.part].root];
    std::erase_if(runs_, [&](const Run& run) {
      const uint32_t root = parts_[run.part].root;
      const bool stays = count[root] == 1 && graph_.values()[root].lifetime == Lifetime::transient;
      if (stays) place_[root] = Place::device;
      return stays;
    });
  }

  // two parts of a root that share rows are never on the device together when one of them is written
  void check_overlaps() const {
    std::map<uint32_t, std::vector<const Run*>> by_root;
    for (const Run& run : runs_) by_root[parts_[run.part].root].push_back(&run);
    for (const auto& [root, runs] : by_root)
      for (const Run* a : runs)
        for (const Run* b : runs) {
          if (a->part == b->part || a->range != b->range || !(a->written || b->written)) continue;
          const Part &x = parts_[a->part], &y = parts_[b->part];
          const bool share = x.first_row < y.first_row + y.desc.shape[0] && y.first_row < x.first_row + x.desc.shape[0];
          const uint32_t reach = 2 * distance(a->range);
          TANDEM_CHECK(!share || a->first > b->last + reach || b->first > a->last + reach,
                       "offload: rows of {} are used in two ways at once", graph_.values()[root].name);
        }
  }

  // ---- copies ----

  void schedule(const Run& run) {
    const uint32_t ahead = distance(run.range);
    if (!run.made) prefetches_[{run.range, run.first - std::min(run.first, ahead)}].push_back(run.part);
    const uint32_t free_at = run.last + 1 + ahead;
    if (run.written)
      evicts_[{run.range, free_at <= ends_[size_t(run.range)].stage ? free_at : kEnd}].push_back(run.part);
  }

  void make_homes() {
    homes_.resize(graph_.values().size());
    for (uint32_t v = 0; v < homes_.size(); ++v) {
      if (place_[v] == Place::device) continue;
      const Value& value = graph_.values()[v];
      if (value.lifetime == Lifetime::variable) {
        homes_[v] = rewriter_.map({v});
        rewriter_.graph().place_on_host(homes_[v]);
      } else if (place_[v] == Place::host) {
        rewriter_.graph().set_tag(value.tag());
        homes_[v] = rewriter_.graph().variable(value.name, value.desc);
        rewriter_.graph().place_on_host(homes_[v]);
      }
    }
  }

  // those due before the stage
  void copies(Range range, uint32_t stage) {
    if (const auto due = evicts_.find({range, stage}); due != evicts_.end())
      for (uint32_t part : due->second) {
        const ValueId onto = home_of(part, range);
        evicted_[{part, range}] = rewriter_.graph().copy(range, current_[part], onto, "evict " + name_of_part(part));
      }
    if (const auto due = prefetches_.find({range, stage}); due != prefetches_.end())
      for (uint32_t part : due->second)
        current_[part] = rewriter_.graph().copy(range, home_of(part, range), {}, "prefetch " + name_of_part(part));
  }

  // In the range of an evict, what that left there.
  ValueId home_of(uint32_t part, Range range) {
    const Part& p = parts_[part];
    const Value& value = graph_.values()[p.root];
    rewriter_.graph().set_tag(value.tag());
    if (const auto found = evicted_.find({part, range}); found != evicted_.end()) return found->second;
    return p.whole ? homes_[p.root] : rewriter_.graph().slice(range, homes_[p.root], p.first_row, p.desc.shape[0]);
  }

  std::string name_of_part(uint32_t part) const {
    const Value& value = graph_.values()[parts_[part].root];
    return value.node == UINT32_MAX ? value.name : graph_.nodes()[value.node].label;
  }

  // ---- nodes, on what is on the device ----

  void copy(const Node& node) {
    if (!node.is_instruction() && on_host(node.inputs[0])) {
      TANDEM_CHECK(node.form == Form::slice, "offload: {} is a part of a concat", node.label);
      return;  // its readers take the part itself
    }
    std::vector<ValueId> inputs;
    for (ValueId v : node.inputs) inputs.push_back(on_host(v) ? current_[part_of(v)] : rewriter_.map(v));
    const auto out = rewriter_.emit(node, node.parameters, std::move(inputs), node.tag.phase);
    for (size_t i = 0; i < out.size(); ++i) {
      const ValueId old = node.outputs[i];
      if (!out[i].present()) continue;
      const Value& value = graph_.values()[old.index];
      rewriter_.set(old, out[i]);
      if (on_host(old)) current_[part_of(old)] = out[i];
      else if (!value.name.empty()) rewriter_.graph().keep(out[i], value.name);
      if (place_[old.index] == Place::zero_copy) rewriter_.graph().place_on_host(out[i]);
    }
  }

  using Stage = std::pair<Range, uint32_t>;
  const Graph& graph_;
  const MemoryPolicy& policy_;
  Storage storage_;
  std::vector<uint32_t> stages_;  // by node
  Rewriter rewriter_;
  std::vector<Place> place_;  // by value, of roots
  std::vector<Part> parts_;
  std::map<std::tuple<uint32_t, uint64_t, uint64_t>, uint32_t> part_index_;  // by root, offset and bytes
  std::vector<Run> runs_;
  std::map<std::pair<uint32_t, Range>, uint32_t> open_;  // by part and range, its last run
  struct End {
    uint32_t node = 0, stage = 0;
  };
  std::array<End, kRangeCount> ends_{};                         // the last ones, by range
  std::map<Stage, std::vector<uint32_t>> prefetches_, evicts_;  // parts, before the stage's first node
  // in the new graph
  std::vector<ValueId> homes_;                             // by root: where it lives on the host
  std::vector<ValueId> current_;                           // by part: where it is on the device
  std::map<std::pair<uint32_t, Range>, ValueId> evicted_;  // by part and range
  std::array<uint32_t, kRangeCount> next_{};
};

}  // namespace

Graph offload(const Graph& graph, const MemoryPolicy& policy) {
  return Offloader(graph, policy).run();
}

}  // namespace tandem
