#include "core/passes/release.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/graph/places.h"
#include "core/passes/rewriter.h"

namespace tandem {
namespace {

// Nodes are counted from 1; 0 is in front of all.
constexpr uint32_t kFront = 0;

using Nodes = std::vector<bool>;                               // by node: those that are meant
using Updates = std::map<uint32_t, std::vector<const Node*>>;  // by the node that they come right behind

struct Step {
  explicit Step(const Graph& g) : graph(g), places(places_of(g)) {}

  const Graph& graph;
  std::vector<Place> places;
  Range backward = Range::micro_step;  // the range in which gradients are added up
  std::set<uint32_t> gradients;        // roots
  std::map<uint32_t, ValueId> next;    // by value: what overwrites it in the backward range

  uint32_t root_of(ValueId v) const { return places[v.index].root; }
  bool is_gradient(ValueId v) const { return v.present() && gradients.contains(root_of(v)); }
  // Made by the backward range alone: what other ranges make, and bindings, stay from pass to pass.
  bool is_passing(ValueId v) const {
    const Value& root = graph.values()[root_of(v)];
    return root.node != UINT32_MAX && graph.nodes()[root.node].range == backward;
  }
  // What is in its bytes behind the backward range.
  ValueId last_of(ValueId v) const {
    while (v.present() && next.contains(v.index)) v = next.at(v.index);
    return v;
  }
};

bool overwrites(const Node& node, size_t input) {
  return node.inputs[input].present() && input + node.in_place >= node.inputs.size();
}

ValueId overwriting(const Node& node, size_t input) {
  return node.outputs[input + node.in_place - node.inputs.size() + node.first_output];
}

template <typename Predicate>
bool any_overwritten(const Node& node, const Predicate& predicate) {
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (overwrites(node, i) && predicate(node.inputs[i])) return true;
  return false;
}

Step step_of(const Graph& graph) {
  Step s(graph);
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    if (node.form != Form::fill || graph.values()[node.outputs[0].index].kind != Kind::gradient) continue;
    s.gradients.insert(s.root_of(node.outputs[0]));
    s.backward = node.range;
  }
  for (const Node& node : graph.nodes())
    for (size_t i = 0; i < node.inputs.size() && node.range == s.backward; ++i)
      if (overwrites(node, i)) s.next[node.inputs[i].index] = overwriting(node, i);
  return s;
}

// ---- where updates come ----

// Where the bytes of a root were last touched, and last written.
struct Touched {
  uint32_t any = kFront, written = kFront;

  void touch(uint32_t at, bool writes) {
    any = std::max(any, at);
    if (writes) written = std::max(written, at);
  }
};

// Behind which node of the backward pass each of these updates comes: what it shares bytes with, one of them writing,
// stays in front of it.
Updates placed(const Step& s, const Nodes& updates) {
  std::map<uint32_t, Touched> touched;  // by root
  const auto touch = [&](const Node& node, uint32_t at) {
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (node.inputs[i].present()) touched[s.root_of(node.inputs[i])].touch(at, overwrites(node, i));
    for (ValueId v : node.outputs)
      if (v.present()) touched[s.root_of(v)].touch(at, true);
  };
  const auto& nodes = s.graph.nodes();
  for (uint32_t n = 0; n < nodes.size(); ++n)
    if (nodes[n].range == s.backward) touch(nodes[n], n + 1);
  Updates behind;
  for (uint32_t n = 0; n < nodes.size(); ++n) {
    if (!updates[n]) continue;
    uint32_t at = kFront;
    for (size_t i = 0; i < nodes[n].inputs.size(); ++i) {
      if (!nodes[n].inputs[i].present()) continue;
      const Touched& t = touched[s.root_of(nodes[n].inputs[i])];
      at = std::max(at, overwrites(nodes[n], i) ? t.any : t.written);
    }
    touch(nodes[n], at);
    behind[at].push_back(&nodes[n]);
  }
  return behind;
}

Nodes nodes_of_update(const Step& s) {
  Nodes all;
  for (const Node& node : s.graph.nodes()) all.push_back(node.range == Range::update);
  return all;
}

// The updates that the step's report is made of: the norm and the verdict.
Nodes nodes_of_verdict(const Step& s, const Nodes& updates) {
  const auto& nodes = s.graph.nodes();
  Nodes verdict(updates.size());
  const auto reports = [&](ValueId v) { return s.graph.values()[s.root_of(v)].lifetime == Lifetime::external; };
  for (uint32_t n = uint32_t(nodes.size()); n-- > 0;) {
    if (!updates[n] || !(verdict[n] || any_overwritten(nodes[n], reports))) continue;
    verdict[n] = true;
    for (ValueId v : nodes[n].inputs)
      if (v.present() && s.graph.values()[v.index].node != UINT32_MAX) verdict[s.graph.values()[v.index].node] = true;
  }
  for (uint32_t n = 0; n < nodes.size(); ++n) verdict[n] = verdict[n] && updates[n];
  return verdict;
}

// ---- a pass ----

struct Pass {
  const Step& step;
  Rewriter& to;
  bool again;  // the second one

  // A gradient does not outlive a pass: each makes the zeros that it adds to.
  void emit(const Node& node, bool moved = false) {
    if (node.form == Form::fill && step.is_gradient(node.outputs[0])) {
      Node zeros = node;
      zeros.tag.when = When::each;
      to.copy_again(zeros);
    } else if (again && node.range == step.backward && !moved) {
      to.copy_again(node);
    } else {
      to.copy(node);
    }
  }
  void emit_updates(const Updates& updates, uint32_t behind) {
    const auto found = updates.find(behind);
    if (found == updates.end()) return;
    for (const Node* update : found->second) {
      Node here = *update;
      here.range = step.backward;
      here.tag.phase = Phase::backward;
      for (ValueId& v : here.inputs) v = step.last_of(v);  // a binding is read as the pass has left it
      emit(here, true);
    }
  }
};

void emit_pass(const Step& s, Rewriter& to, const Nodes& updates) {
  Pass pass{s, to, false};
  const Updates behind = placed(s, updates);
  pass.emit_updates(behind, kFront);
  for (uint32_t n = 0; n < s.graph.nodes().size(); ++n) {
    if (s.graph.nodes()[n].range == s.backward) pass.emit(s.graph.nodes()[n]);
    pass.emit_updates(behind, n + 1);
  }
}

// What adds to gradients, and what that needs of the pass; the loss, say, is not made again.
Nodes nodes_made_again(const Step& s) {
  const auto& nodes = s.graph.nodes();
  Nodes again(nodes.size());
  for (uint32_t n = uint32_t(nodes.size()); n-- > 0;) {
    const Node& node = nodes[n];
    if (node.range != s.backward) continue;
    again[n] = again[n] || any_overwritten(node, [&](ValueId v) { return s.is_gradient(v); });
    if (!again[n]) continue;
    for (ValueId v : node.inputs)
      if (v.present() && s.is_passing(v) && s.graph.values()[v.index].node != UINT32_MAX)
        again[s.graph.values()[v.index].node] = true;
  }
  return again;
}

// The node once more. Words that stay from pass to pass and are overwritten in it are amax words: the same values raise
// them to what they are, and the node goes on from what the last one left there.
void emit_again(Pass& pass, const Node& node) {
  const Step& s = pass.step;
  Node here = node;
  std::vector<std::pair<ValueId, ValueId>> raised;  // the last of the words, what the node makes of them
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    ValueId& v = here.inputs[i];
    if (!overwrites(node, i) || s.is_passing(v) || s.is_gradient(v)) continue;
    TANDEM_CHECK(s.graph.desc(v).dtype == DType::u32, "{} of {} is made twice, and overwrites what stays",
                 name_of(node), node.label);
    v = s.last_of(v);
    raised.emplace_back(v, overwriting(node, i));
  }
  pass.emit(here);
  for (const auto& [last, made] : raised) pass.to.set(last, pass.to.map(made));
}

// The same pass once more.
void emit_pass_again(const Step& s, Rewriter& to, const Nodes& updates) {
  const auto& nodes = s.graph.nodes();
  Pass pass{s, to, true};
  const Updates behind = placed(s, updates);
  const Nodes again = nodes_made_again(s);
  pass.emit_updates(behind, kFront);
  for (uint32_t n = 0; n < nodes.size(); ++n) {
    if (again[n]) emit_again(pass, nodes[n]);
    pass.emit_updates(behind, n + 1);
  }
}

void emit_passes(const Step& s, Rewriter& to, Release how) {
  const Nodes all = nodes_of_update(s);
  if (how == Release::once) return emit_pass(s, to, all);
  const Nodes verdict = nodes_of_verdict(s, all);
  Nodes updates = all;
  for (size_t n = 0; n < updates.size(); ++n) updates[n] = all[n] && !verdict[n];
  emit_pass(s, to, verdict);
  emit_pass_again(s, to, updates);
}

void copy_range(const Step& s, Rewriter& to, Range range) {
  for (const Node& node : s.graph.nodes())
    if (node.range == range) to.copy(node);
}

}  // namespace

Graph release(const Graph& graph, Release how) {
  TANDEM_CHECK(graph.ranks() == 1, "{} ranks release gradients", graph.ranks());
  const Step s = step_of(graph);
  Rewriter to(graph);
  for (size_t r = 0; r < kRangeCount; ++r) {
    if (Range(r) == s.backward) emit_passes(s, to, how);
    else if (Range(r) != Range::update) copy_range(s, to, Range(r));
  }
  return to.take();
}

}  // namespace tandem
