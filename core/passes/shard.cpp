#include "core/passes/shard.h"

#include <algorithm>
#include <map>
#include <optional>

#include "core/graph/exchange.h"
#include "core/passes/rewriter.h"
#include "core/passes/shares.h"

namespace tandem {
namespace {

// An exchange whose parts are not added yet.
struct Waiting {
  uint32_t stage;
  SharedParameter parameter;
  ValueId parts;
};

// The words that a step counts by.
struct Words {
  ValueId scalars, counter;                        // the old graph's
  std::array<ValueId, kRangeCount> counters = {};  // the new one's, where a range moved it on
};

// A source of the new graph.
struct NewSource {
  ValueId own;              // the rank's rows
  bool transposed = false;  // since its last gather
};

// What begin does by rows, which waits for the exchange at its end.
struct Begin {
  std::vector<const Node*> maxima, copies;
  bool done = false;
};

// How gradients become sums over the ranks.
struct Sums {
  bool in_micro_steps = false;  // they are exchanged in each, else in the last one alone
  std::vector<Waiting> waiting;
};

struct Sharded {
  const Graph& from;
  Shares shares;
  Rewriter& rewriter;
  Graph& graph;  // the rewriter's
  Sums sums;
  Words words = {};
  std::map<uint32_t, ValueId> variables = {};  // by gradient: the parameter's variable, before anything is gathered
  std::vector<NewSource> sources = {};         // as in shares
  Begin begin = {};
  bool updating = false;
};

void find_words(Sharded& to) {
  for (uint32_t v = 0; v < to.from.values().size(); ++v) {
    if (to.from.values()[v].name == "scalars") to.words.scalars = {v};
    if (to.from.values()[v].name == "counter") to.words.counter = {v};
  }
  TANDEM_CHECK(to.words.scalars.present() && to.words.counter.present(), "a step has scalars and a counter");
}

void share_variables(Sharded& to) {
  for (const SharedParameter& p : to.shares.parameters) {
    to.variables[p.gradient] = to.rewriter.map(p.value);
    if (p.matrix()) to.graph.share(to.rewriter.map(p.value), {p.rows.whole, p.rows.of_rank, p.whole});
  }
  for (const auto& [state, rows] : to.shares.states) to.graph.share(to.rewriter.map(state), rows);
}

// In a range that moves the counter on, what it is from there.
void note_counter(Sharded& to, const Node& node) {
  for (uint32_t i = 0; i < node.in_place; ++i) {
    const ValueId in = node.inputs[node.inputs.size() - node.in_place + i], out = node.outputs[node.first_output + i];
    if (in.present() && to.shares.root_of(in) == to.shares.root_of(to.words.counter))
      to.words.counters[size_t(node.range)] = to.rewriter.map(out);
  }
}

ValueId counter(Sharded& to, Range range) {
  const ValueId now = to.words.counters[size_t(range)];
  return now.present() ? now : to.rewriter.map(to.words.counter);
}

ValueId own_rows(Sharded& to, Range range, const SharedParameter& p) {
  return p.whole ? to.graph.rank_slice(range, to.rewriter.map(p.value)) : to.variables.at(p.gradient);
}

ValueIds emit_on_own_rows(Sharded& to, const Node& node, const Parameters& parameters) {
  ValueIds inputs{own_rows(to, node.range, *to.shares.parameter_of(node.inputs[0]))};
  for (size_t i = 1; i < node.inputs.size(); ++i) inputs.push_back(to.rewriter.map(node.inputs[i]));
  return to.rewriter.emit(node, parameters, std::move(inputs), node.tag.phase);
}

void reduce_maxima(Sharded& to) {
  if (to.begin.maxima.empty()) return;
  ValueIds words;
  for (const Node* node : to.begin.maxima) words.push_back(emit_on_own_rows(to, *node, node->parameters)[0]);
  const Scope scope(to.graph, {});
  words = to.graph.all_reduce_max(Range::begin, std::move(words), "weight amax");
  for (size_t i = 0; i < words.size(); ++i) to.rewriter.set(to.begin.maxima[i]->outputs[0], words[i]);
}

// ---- weights that are gathered where they are read ----

std::string label_of(uint32_t layer) {
  return layer == kNoLayer ? "weights" : fmt::format("layer {} weights", layer);
}

uint32_t layer_of(Sharded& to, ValueId v) {
  return to.from.values()[v.index].layer;
}

// Those of one layer together.
void gather(Sharded& to, Range range, std::span<const uint32_t> sources) {
  std::map<uint32_t, std::vector<uint32_t>> layers;
  for (uint32_t s : sources) layers[layer_of(to, to.shares.sources[s].value)].push_back(s);
  for (const auto& [layer, together] : layers) {
    ValueIds own;
    std::vector<Rows> rows;
    for (uint32_t s : together) {
      const SharedSource& source = to.shares.sources[s];
      if (!to.sources[s].own.present()) to.sources[s].own = to.rewriter.map(source.value);
      own.push_back(to.sources[s].own);
      rows.push_back(source.rows);
    }
    const Scope scope(to.graph, to.from.values()[to.shares.sources[together[0]].value.index].tag());
    const ValueIds wholes = to.graph.gather_rows(range, own, rows, label_of(layer));
    for (size_t i = 0; i < together.size(); ++i) {
      to.rewriter.set(to.shares.sources[together[i]].value, wholes[i]);
      to.sources[together[i]].transposed = false;
    }
  }
}

void begin_stage(Sharded& to, Range range, uint32_t stage) {
  auto& gathers = to.shares.gathers;
  for (auto due = gathers.lower_bound({range, 0}); due != gathers.end() && due->first <= Shares::Stage(range, stage);)
    due = (gather(to, range, due->second), gathers.erase(due));
}

// Its transpose is made anew behind each gather, where it is read.
void transpose_for(Sharded& to, const Node& node) {
  for (ValueId v : node.inputs) {
    const std::optional<uint32_t> index = to.shares.source_of(v);
    if (!index) continue;
    const SharedSource& source = to.shares.sources[*index];
    if (!source.gathered || v != source.transposed || to.sources[*index].transposed) continue;
    to.sources[*index].transposed = true;
    const Scope scope(to.graph, to.from.values()[source.value.index].tag());
    to.rewriter.set(v, transpose(to.graph, node.range, to.rewriter.map(source.value), node.label));
  }
}

Outputs by_rows(const Op& op, const Node& node) {
  Outputs wanted;
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (op.on_rows(i) == OnRows::rows) wanted.insert(i);
  return wanted;
}

void spread(Sharded& to, const Node& node, ValueId whole) {
  to.rewriter.set(node.outputs[0], whole);
  for (size_t i = 1; i < node.outputs.size(); ++i)
    if (node.outputs[i].present() && op_of(node.op).on_rows(i) == OnRows::columns)
      to.rewriter.set(node.outputs[i], transpose(to.graph, node.range, whole, node.label));
}

void gather_layer(Sharded& to, std::span<const Node* const> nodes) {
  ValueIds own;
  std::vector<Rows> rows;
  for (const Node* node : nodes) {
    const Op& op = op_of(node->op);
    const ValueIds made = emit_on_own_rows(to, *node, op.only(node->parameters, by_rows(op, *node)));
    own.push_back(made[0]);
    rows.push_back(to.shares.parameter_of(node->inputs[0])->rows);
    for (size_t i = 0; i < made.size(); ++i)
      if (op.on_rows(i) == OnRows::same && made[i].present()) to.rewriter.set(node->outputs[i], made[i]);
  }
  if (to.shares.sources[*to.shares.source_of(nodes[0]->outputs[0])].gathered) {
    for (size_t i = 0; i < nodes.size(); ++i) {
      to.graph.set_rows(own[i], rows[i]);
      to.sources[*to.shares.source_of(nodes[i]->outputs[0])].own = own[i];
    }
    return;
  }
  const Scope scope(to.graph, nodes[0]->tag);
  const ValueIds wholes = to.graph.gather_rows(Range::begin, own, rows, label_of(nodes[0]->tag.layer));
  for (size_t i = 0; i < nodes.size(); ++i) spread(to, *nodes[i], wholes[i]);
}

// A layer's copies are gathered together; a transposed one is made of all rows.
void gather_copies(Sharded& to) {
  for (size_t first = 0; first < to.begin.copies.size();) {
    size_t end = first;
    while (end < to.begin.copies.size() && to.begin.copies[end]->tag.layer == to.begin.copies[first]->tag.layer) ++end;
    gather_layer(to, std::span(to.begin.copies).subspan(first, end - first));
    first = end;
  }
}

void gather_wholes(Sharded& to) {
  for (const SharedParameter& p : to.shares.parameters) {
    if (!p.whole) continue;
    const Scope scope(to.graph, to.from.values()[p.value.index].tag());
    const std::string& name = to.from.values()[p.value.index].name;
    to.rewriter.set(p.value, to.graph.gather_rows_onto(Range::begin, {to.rewriter.map(p.value)}, name)[0]);
  }
}

void finish_begin(Sharded& to) {
  if (std::exchange(to.begin.done, true)) return;
  reduce_maxima(to);
  gather_copies(to);
  gather_wholes(to);
}

// begin: what is done by rows waits, so that one exchange serves all weights.
void rewrite_begin(Sharded& to, const Node& node) {
  if (!to.shares.is_by_rows(node)) return to.rewriter.copy(node);
  (op_of(node.op).on_rows(0) == OnRows::maximum ? to.begin.maxima : to.begin.copies).push_back(&node);
}

// ---- gradients ----

Tag tag_when(Tag tag, When when) {
  tag.when = when;
  return tag;
}

ValueId sum(Sharded& to, Range range, const SharedParameter& p, ValueId parts, ValueId onto, abi::RankSum how,
            When when) {
  how.segments = to.from.values()[p.value.index].segments;
  const std::string& name = to.from.values()[p.value.index].name;
  if (p.matrix()) how.segments.rank_stride = uint32_t(to.graph.desc(onto).shape.count() / 4);
  const Scope scope(to.graph, tag_when(to.from.values()[p.gradient].tag(), when));
  return sum_of_ranks(to.graph, range, parts, {to.rewriter.map(to.words.scalars), counter(to, range)}, onto, how, name);
}

// The whole gradient of a matrix, in which a rank adds up what it makes: of a micro-step where each is exchanged, of
// all of them where the last one is.
void rewrite_zeros(Sharded& to, const SharedParameter& p) {
  const Node& node = to.from.nodes()[to.from.values()[p.gradient].node];
  const Scope scope(to.graph, to.sums.in_micro_steps ? tag_when(node.tag, When::each) : node.tag);
  const ValueId zeros = to.graph.zeros(node.range, to.from.desc(node.outputs[0]), node.label);
  to.graph.set_rows(zeros, {p.rows.whole, p.rows.of_rank, true});
  if (!to.sums.in_micro_steps) to.graph.keep(zeros, to.from.values()[node.outputs[0].index].name);
  to.rewriter.set(node.outputs[0], zeros);
}

void exchange(Sharded& to, uint32_t n, const SharedParameter& p) {
  const Node& node = to.from.nodes()[n];
  const Scope scope(to.graph, tag_when(node.tag, to.sums.in_micro_steps ? When::each : When::last));
  const ValueId parts = to.graph.all_to_all(node.range, {to.rewriter.map(p.last_gradient)}, node.label)[0];
  to.sums.waiting.push_back({to.shares.stages[n], p, parts});
}

// The rank's rows, added up over the micro-steps from zeros that the first one makes.
ValueId sum_onto_zeros(Sharded& to, Range range, const Waiting& w) {
  const SharedParameter& p = w.parameter;
  const Value& whole = to.from.values()[p.gradient];
  const Scope scope(to.graph, tag_when(whole.tag(), When::first));
  const ValueId zeros =
      to.graph.zeros(range, {whole.desc.dtype, whole.desc.shape.with_first(p.rows.of_rank)}, whole.name);
  to.graph.set_rows(zeros, {p.rows.whole, p.rows.of_rank, false});
  to.graph.keep(zeros, whole.name);
  return sum(to, range, p, w.parts, zeros, {.accumulate = 1, .by_micro_step = 1, .by_owner = 1}, When::each);
}

ValueId sum_in_whole(Sharded& to, Range range, const Waiting& w) {
  const Scope scope(to.graph, tag_when(to.from.values()[w.parameter.gradient].tag(), When::last));
  const ValueId own = to.graph.rank_slice(range, to.rewriter.map(w.parameter.last_gradient));
  return sum(to, range, w.parameter, w.parts, own, {.by_owner = 1}, When::last);
}

// The parts of an exchange are added in a later stage, before its first gradient takes memory: by then the stage's
// products have gone on beside the exchange.
void finish_sums(Sharded& to, Range range, uint32_t stage) {
  std::erase_if(to.sums.waiting, [&](const Waiting& w) {
    if (w.stage >= stage) return false;
    to.rewriter.set(w.parameter.last_gradient,
                    to.sums.in_micro_steps ? sum_onto_zeros(to, range, w) : sum_in_whole(to, range, w));
    return true;
  });
}

// Behind the last node that adds to a gradient ranks exchange it.
void rewrite_sums(Sharded& to, uint32_t n) {
  const Node& node = to.from.nodes()[n];
  const SharedParameter* summed = nullptr;
  for (size_t i = node.inputs.size() - node.in_place; i < node.inputs.size(); ++i) {
    const ValueId v = node.inputs[i];
    const SharedParameter* p = v.present() ? to.shares.owner_of_gradient(v) : nullptr;
    if (!p || !p->matrix()) continue;
    summed = p;
    if (v.index != p->gradient) continue;
    finish_sums(to, node.range, to.shares.stages[n]);
    rewrite_zeros(to, *p);
  }
  to.rewriter.copy(node);
  if (summed && summed->last_sum == n) exchange(to, n, *summed);
}

// ---- update ----

// Every rank sums them alike.
void exchange_vectors(Sharded& to) {
  std::vector<const SharedParameter*> vectors;
  ValueIds values;
  for (const SharedParameter& p : to.shares.parameters) {
    if (p.matrix()) continue;
    vectors.push_back(&p);
    values.push_back(to.rewriter.map(p.last_gradient));
  }
  if (vectors.empty()) return;
  const Scope scope(to.graph, {Kind::gradient, kNoLayer});
  const ValueIds parts = to.graph.all_gather(Range::update, values, "vectors' gradients");
  for (size_t i = 0; i < parts.size(); ++i)
    to.rewriter.set(vectors[i]->last_gradient,
                    sum(to, Range::update, *vectors[i], parts[i], values[i], {}, When::each));
}

void start_update(Sharded& to) {
  if (std::exchange(to.updating, true)) return;
  exchange_vectors(to);
}

void rewrite_update(Sharded& to, const Node& node) {
  const SharedParameter* p = nullptr;
  if (updates_by_rank(node))
    for (ValueId v : node.inputs)
      if (v.present() && to.shares.parameter_of(v)) p = to.shares.parameter_of(v);
  if (!p || !p->matrix()) return to.rewriter.copy(node);
  ValueIds inputs;
  for (ValueId v : node.inputs)
    inputs.push_back(v.present() && to.shares.parameter_of(v) ? own_rows(to, node.range, *p) : to.rewriter.map(v));
  const uint64_t elements = p->rows.of_rank * (to.from.desc(p->value).shape.count() / p->rows.whole);
  const auto& out =
      to.rewriter.emit(node, op_of(node.op).by_rank(node.parameters, elements), std::move(inputs), node.tag.phase);
  for (size_t i = 0; i < out.size(); ++i)
    if (out[i].present()) to.rewriter.set(node.outputs[i], out[i]);
}

void rewrite(Sharded& to, uint32_t n) {
  const Node& node = to.from.nodes()[n];
  if (node.range == Range::begin) return rewrite_begin(to, node);
  const SharedParameter* gradient = node.form == Form::fill ? to.shares.owner_of_gradient(node.outputs[0]) : nullptr;
  if (gradient && gradient->matrix()) return;  // in front of what adds to it
  transpose_for(to, node);
  if (node.range == Range::micro_step) return rewrite_sums(to, n);
  if (node.range == Range::update) return rewrite_update(to, node);
  to.rewriter.copy(node);
}

}  // namespace

Graph shard(const Graph& graph, const Sharding& sharding, const MemoryPolicy& policy) {
  TANDEM_CHECK(graph.ranks() == sharding.ranks, "a graph for {} ranks is shared by {}", graph.ranks(), sharding.ranks);
  Rewriter rewriter(graph);
  const Sums sums{sharding.zero > 1 || sharding.every_micro_step, {}};
  Sharded to{graph, Shares(graph, sharding, policy), rewriter, rewriter.graph(), sums};
  to.sources.resize(to.shares.sources.size());
  find_words(to);
  share_variables(to);
  for (uint32_t n = 0; n < to.from.nodes().size(); ++n) {
    const Node& node = to.from.nodes()[n];
    if (node.range != Range::begin) finish_begin(to);
    if (node.range == Range::update) start_update(to);
    else if (node.is_instruction()) begin_stage(to, node.range, to.shares.stages[n]);
    rewrite(to, n);
    note_counter(to, node);
    if (n == to.shares.ends[size_t(node.range)]) finish_sums(to, node.range, UINT32_MAX);
  }
  return to.rewriter.take();
}

}  // namespace tandem
