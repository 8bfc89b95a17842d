#include "core/passes/shard.h"

#include <algorithm>
#include <map>
#include <optional>

#include "core/graph/exchange.h"
#include "core/passes/rewriter.h"
#include "core/passes/shares.h"

namespace tandem {
namespace {

class Sharder {
 public:
  Sharder(const Graph& graph, const Sharding& sharding, const MemoryPolicy& policy)
      : graph_(graph),
        in_micro_steps_(sharding.zero > 1 || sharding.every_micro_step),
        shares_(graph, sharding, policy),
        rewriter_(graph),
        new_(rewriter_.graph()),
        own_(shares_.sources.size()),
        transposed_(shares_.sources.size()) {
    TANDEM_CHECK(graph.ranks() == sharding.ranks, "a graph for {} ranks is shared by {}", graph.ranks(),
                 sharding.ranks);
    find_words();
    share_variables();
  }

  Graph run() {
    for (uint32_t n = 0; n < graph_.nodes().size(); ++n) {
      const Node& node = graph_.nodes()[n];
      if (node.range != Range::begin) finish_begin();
      if (node.range == Range::update) start_update();
      else if (node.is_instruction()) begin_stage(node.range, shares_.stages[n]);
      rewrite(n);
      note_counter(node);
      if (n == shares_.ends[size_t(node.range)]) finish_sums(node.range, UINT32_MAX);
    }
    return rewriter_.take();
  }

 private:
  // An exchange whose parts are not added yet.
  struct Waiting {
    uint32_t stage;
    SharedParameter parameter;
    ValueId parts;
  };

  void find_words() {
    for (uint32_t v = 0; v < graph_.values().size(); ++v) {
      if (graph_.values()[v].name == "scalars") scalars_ = {v};
      if (graph_.values()[v].name == "counter") counter_ = {v};
    }
    TANDEM_CHECK(scalars_.present() && counter_.present(), "a step has scalars and a counter");
  }

  void share_variables() {
    for (const SharedParameter& p : shares_.parameters) {
      variables_[p.gradient] = rewriter_.map(p.value);
      if (p.matrix()) new_.share(rewriter_.map(p.value), {p.rows.whole, p.rows.of_rank, p.whole});
    }
    for (const auto& [state, rows] : shares_.states) new_.share(rewriter_.map(state), rows);
  }

  // ---- nodes ----

  void rewrite(uint32_t n) {
    const Node& node = graph_.nodes()[n];
    if (node.range == Range::begin) return rewrite_begin(node);
    const SharedParameter* gradient = node.form == Form::fill ? shares_.owner_of_gradient(node.outputs[0]) : nullptr;
    if (gradient && gradient->matrix()) return;  // in front of what adds to it
    transpose_for(node);
    if (node.range == Range::micro_step) return rewrite_sums(n);
    if (node.range == Range::update) return rewrite_update(node);
    rewriter_.copy(node);
  }

  // In a range that moves the counter on, what it is from there.
  void note_counter(const Node& node) {
    for (uint32_t i = 0; i < node.in_place; ++i) {
      const ValueId in = node.inputs[node.inputs.size() - node.in_place + i], out = node.outputs[node.first_output + i];
      if (in.present() && shares_.root_of(in) == shares_.root_of(counter_))
        counters_[size_t(node.range)] = rewriter_.map(out);
    }
  }
  ValueId counter(Range range) const {
    const ValueId now = counters_[size_t(range)];
    return now.present() ? now : rewriter_.map(counter_);
  }

  // begin: what is done by rows waits, so that one exchange serves all weights.
  void rewrite_begin(const Node& node) {
    if (!shares_.is_by_rows(node)) return rewriter_.copy(node);
    (op_of(node.op).on_rows(0) == OnRows::maximum ? maxima_ : copies_).push_back(&node);
  }

  ValueId own_rows(Range range, const SharedParameter& p) {
    return p.whole ? new_.rank_slice(range, rewriter_.map(p.value)) : variables_.at(p.gradient);
  }

  void finish_begin() {
    if (std::exchange(begun_, true)) return;
    reduce_maxima();
    gather_copies();
    gather_wholes();
  }

  std::vector<ValueId> emit_on_own_rows(const Node& node, const Parameters& parameters) {
    std::vector<ValueId> inputs{own_rows(node.range, *shares_.parameter_of(node.inputs[0]))};
    for (size_t i = 1; i < node.inputs.size(); ++i) inputs.push_back(rewriter_.map(node.inputs[i]));
    return rewriter_.emit(node, parameters, std::move(inputs), node.tag.phase);
  }

  void reduce_maxima() {
    if (maxima_.empty()) return;
    std::vector<ValueId> words;
    for (const Node* node : maxima_) words.push_back(emit_on_own_rows(*node, node->parameters)[0]);
    new_.set_tag({});
    words = new_.all_reduce_max(Range::begin, std::move(words), "weight amax");
    for (size_t i = 0; i < words.size(); ++i) rewriter_.set(maxima_[i]->outputs[0], words[i]);
  }

  // ---- weights that are gathered where they are read ----

  void begin_stage(Range range, uint32_t stage) {
    auto& gathers = shares_.gathers;
    for (auto due = gathers.lower_bound({range, 0}); due != gathers.end() && due->first <= Shares::Stage(range, stage);)
      due = (gather(range, due->second), gathers.erase(due));
  }

  // Those of one layer together.
  void gather(Range range, std::span<const uint32_t> sources) {
    std::map<uint32_t, std::vector<uint32_t>> layers;
    for (uint32_t s : sources) layers[layer_of(shares_.sources[s].value)].push_back(s);
    for (const auto& [layer, together] : layers) {
      std::vector<ValueId> own;
      std::vector<Rows> rows;
      for (uint32_t s : together) {
        const SharedSource& source = shares_.sources[s];
        if (!own_[s].present()) own_[s] = rewriter_.map(source.value);
        own.push_back(own_[s]);
        rows.push_back(source.rows);
      }
      new_.set_tag(graph_.values()[shares_.sources[together[0]].value.index].tag());
      const std::vector<ValueId> wholes = new_.gather_rows(range, own, rows, label_of(layer));
      for (size_t i = 0; i < together.size(); ++i) {
        rewriter_.set(shares_.sources[together[i]].value, wholes[i]);
        transposed_[together[i]] = false;
      }
    }
  }

  uint32_t layer_of(ValueId v) const { return graph_.values()[v.index].layer; }

  static std::string label_of(uint32_t layer) {
    return layer == kNoLayer ? "weights" : fmt::format("layer {} weights", layer);
  }

  // Its transpose is made anew behind each gather, where it is read.
  void transpose_for(const Node& node) {
    for (ValueId v : node.inputs) {
      const std::optional<uint32_t> index = shares_.source_of(v);
      if (!index) continue;
      const SharedSource& source = shares_.sources[*index];
      if (!source.gathered || v != source.transposed || transposed_[*index]) continue;
      transposed_[*index] = true;
      new_.set_tag(graph_.values()[source.value.index].tag());
      rewriter_.set(v, transpose(new_, node.range, rewriter_.map(source.value), node.label));
    }
  }

  // A layer's copies are gathered together; a transposed one is made of all rows.
  void gather_copies() {
    for (size_t first = 0; first < copies_.size();) {
      size_t end = first;
      while (end < copies_.size() && copies_[end]->tag.layer == copies_[first]->tag.layer) ++end;
      gather_layer(std::span(copies_).subspan(first, end - first));
      first = end;
    }
  }

  void gather_layer(std::span<const Node* const> nodes) {
    std::vector<ValueId> own;
    std::vector<Rows> rows;
    for (const Node* node : nodes) {
      const Op& op = op_of(node->op);
      const std::vector<ValueId> made = emit_on_own_rows(*node, op.only(node->parameters, by_rows(op, *node)));
      own.push_back(made[0]);
      rows.push_back(shares_.parameter_of(node->inputs[0])->rows);
      for (size_t i = 0; i < made.size(); ++i)
        if (op.on_rows(i) == OnRows::same && made[i].present()) rewriter_.set(node->outputs[i], made[i]);
    }
    if (shares_.sources[*shares_.source_of(nodes[0]->outputs[0])].gathered) {
      for (size_t i = 0; i < nodes.size(); ++i) {
        new_.set_rows(own[i], rows[i]);
        own_[*shares_.source_of(nodes[i]->outputs[0])] = own[i];
      }
      return;
    }
    new_.set_tag(nodes[0]->tag);
    const std::vector<ValueId> wholes = new_.gather_rows(Range::begin, own, rows, label_of(nodes[0]->tag.layer));
    for (size_t i = 0; i < nodes.size(); ++i) spread(*nodes[i], wholes[i]);
  }

  static Outputs by_rows(const Op& op, const Node& node) {
    Outputs wanted;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (op.on_rows(i) == OnRows::rows) wanted.insert(i);
    return wanted;
  }

  void spread(const Node& node, ValueId whole) {
    rewriter_.set(node.outputs[0], whole);
    for (size_t i = 1; i < node.outputs.size(); ++i)
      if (node.outputs[i].present() && op_of(node.op).on_rows(i) == OnRows::columns)
        rewriter_.set(node.outputs[i], transpose(new_, node.range, whole, node.label));
  }

  void gather_wholes() {
    for (const SharedParameter& p : shares_.parameters) {
      if (!p.whole) continue;
      new_.set_tag(graph_.values()[p.value.index].tag());
      const std::string& name = graph_.values()[p.value.index].name;
      rewriter_.set(p.value, new_.gather_rows_onto(Range::begin, {rewriter_.map(p.value)}, name)[0]);
    }
  }

  // ---- gradients ----

  ValueId sum(Range range, const SharedParameter& p, ValueId parts, ValueId onto, abi::RankSum how, When when) {
    how.segments = graph_.values()[p.value.index].segments;
    const std::string& name = graph_.values()[p.value.index].name;
    if (p.matrix()) how.segments.rank_stride = uint32_t(new_.desc(onto).shape.count() / 4);
    new_.set_tag(tag_when(graph_.values()[p.gradient].tag(), when));
    return sum_of_ranks(new_, range, parts, {rewriter_.map(scalars_), counter(range)}, onto, how, name);
  }

  // The whole gradient of a matrix, in which a rank adds up what it makes: of a micro-step where each is exchanged, of
  // all of them where the last one is.
  void rewrite_zeros(const SharedParameter& p) {
    const Node& node = graph_.nodes()[graph_.values()[p.gradient].node];
    new_.set_tag(in_micro_steps_ ? tag_when(node.tag, When::each) : node.tag);
    const ValueId zeros = new_.zeros(node.range, graph_.desc(node.outputs[0]), node.label);
    new_.set_rows(zeros, {p.rows.whole, p.rows.of_rank, true});
    if (!in_micro_steps_) new_.keep(zeros, graph_.values()[node.outputs[0].index].name);
    rewriter_.set(node.outputs[0], zeros);
  }

  static Tag tag_when(Tag tag, When when) {
    tag.when = when;
    return tag;
  }

  // Behind the last node that adds to a gradient ranks exchange it.
  void rewrite_sums(uint32_t n) {
    const Node& node = graph_.nodes()[n];
    const SharedParameter* summed = nullptr;
    for (size_t i = node.inputs.size() - node.in_place; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      const SharedParameter* p = v.present() ? shares_.owner_of_gradient(v) : nullptr;
      if (!p || !p->matrix()) continue;
      summed = p;
      if (v.index != p->gradient) continue;
      finish_sums(node.range, shares_.stages[n]);
      rewrite_zeros(*p);
    }
    rewriter_.copy(node);
    if (summed && shares_.last_sum(summed->gradient) == n) exchange(n, *summed);
  }

  void exchange(uint32_t n, const SharedParameter& p) {
    const Node& node = graph_.nodes()[n];
    new_.set_tag(tag_when(node.tag, in_micro_steps_ ? When::each : When::last));
    const ValueId parts = new_.all_to_all(node.range, {rewriter_.map(p.last_gradient)}, node.label)[0];
    waiting_.push_back({shares_.stages[n], p, parts});
  }

  // The parts of an exchange are added in a later stage, before its first gradient takes memory: by then the stage's
  // products have gone on beside the exchange.
  void finish_sums(Range range, uint32_t stage) {
    std::erase_if(waiting_, [&](const Waiting& w) {
      if (w.stage >= stage) return false;
      rewriter_.set(w.parameter.last_gradient, in_micro_steps_ ? sum_onto_zeros(range, w) : sum_in_whole(range, w));
      return true;
    });
  }

  // The rank's rows, added up over the micro-steps from zeros that the first one makes.
  ValueId sum_onto_zeros(Range range, const Waiting& w) {
    const SharedParameter& p = w.parameter;
    const Value& whole = graph_.values()[p.gradient];
    new_.set_tag(tag_when(whole.tag(), When::first));
    const ValueId zeros =
        new_.zeros(range, {whole.desc.dtype, whole.desc.shape.with_first(p.rows.of_rank)}, whole.name);
    new_.set_rows(zeros, {p.rows.whole, p.rows.of_rank, false});
    new_.keep(zeros, whole.name);
    return sum(range, p, w.parts, zeros, {.accumulate = 1, .by_micro_step = 1, .by_owner = 1}, When::each);
  }

  ValueId sum_in_whole(Range range, const Waiting& w) {
    new_.set_tag(tag_when(graph_.values()[w.parameter.gradient].tag(), When::last));
    const ValueId own = new_.rank_slice(range, rewriter_.map(w.parameter.last_gradient));
    return sum(range, w.parameter, w.parts, own, {.by_owner = 1}, When::last);
  }

  // ---- update ----

  void start_update() {
    if (std::exchange(updating_, true)) return;
    exchange_vectors();
  }

  // Every rank sums them alike.
  void exchange_vectors() {
    std::vector<const SharedParameter*> vectors;
    std::vector<ValueId> values;
    for (const SharedParameter& p : shares_.parameters) {
      if (p.matrix()) continue;
      vectors.push_back(&p);
      values.push_back(rewriter_.map(p.last_gradient));
    }
    if (vectors.empty()) return;
    new_.set_tag({Kind::gradient, kNoLayer});
    const std::vector<ValueId> parts = new_.all_gather(Range::update, values, "vectors' gradients");
    for (size_t i = 0; i < parts.size(); ++i)
      rewriter_.set(vectors[i]->last_gradient, sum(Range::update, *vectors[i], parts[i], values[i], {}, When::each));
  }

  void rewrite_update(const Node& node) {
    const SharedParameter* p = nullptr;
    if (updates_by_rank(node))
      for (ValueId v : node.inputs)
        if (v.present() && shares_.parameter_of(v)) p = shares_.parameter_of(v);
    if (!p || !p->matrix()) return rewriter_.copy(node);
    std::vector<ValueId> inputs;
    for (ValueId v : node.inputs)
      inputs.push_back(v.present() && shares_.parameter_of(v) ? own_rows(node.range, *p) : rewriter_.map(v));
    const uint64_t elements = p->rows.of_rank * (graph_.desc(p->value).shape.count() / p->rows.whole);
    const auto out =
        rewriter_.emit(node, op_of(node.op).by_rank(node.parameters, elements), std::move(inputs), node.tag.phase);
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i].present()) rewriter_.set(node.outputs[i], out[i]);
  }

  const Graph& graph_;
  const bool in_micro_steps_;  // gradients are exchanged in each, else in the last one alone
  Shares shares_;
  Rewriter rewriter_;
  Graph& new_;
  ValueId scalars_, counter_;
  std::array<ValueId, kRangeCount> counters_{};
  std::map<uint32_t, ValueId> variables_;     // by gradient: the parameter's variable, before anything is gathered
  std::vector<ValueId> own_;                  // by source: the rank's rows
  std::vector<bool> transposed_;              // by source: since its last gather
  std::vector<const Node*> maxima_, copies_;  // begin's
  std::vector<Waiting> waiting_;
  bool begun_ = false, updating_ = false;
};

}  // namespace

Graph shard(const Graph& graph, const Sharding& sharding, const MemoryPolicy& policy) {
  return Sharder(graph, sharding, policy).run();
}

}  // namespace tandem
