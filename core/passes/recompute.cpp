#include "core/passes/recompute.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "core/graph/exchange.h"
#include "core/passes/rewriter.h"

namespace tandem {
namespace {

// True if the policy lets go of what such a node makes. kind: of the value.
bool drops(EnumSet<Recompute> set, const Tag& node, Kind kind) {
  const auto any = [&](std::initializer_list<Recompute> parts) {
    for (Recompute part : parts)
      if (set.contains(part)) return true;
    return set.contains(Recompute::block);
  };
  switch (kind) {
    case Kind::attention_norm:
      return any({Recompute::norm, Recompute::qkv});
    case Kind::qkv:
      return any({Recompute::qkv});
    case Kind::attention:
      return any({Recompute::attention});
    case Kind::branch:
      return any({});
    case Kind::residual:  // the layer's input stays
      return node.kind == Kind::ffn_norm && any({});
    case Kind::ffn_norm:
      return any({Recompute::norm, Recompute::ffn});
    case Kind::ffn:
      return any({Recompute::ffn});
    case Kind::swiglu:
      return any({Recompute::swiglu, Recompute::ffn});
    default:
      return false;
  }
}

// By position of an input: the output that overwrites each in place.
std::optional<size_t> overwriting(const Node& node, size_t input) {
  const size_t read_only = node.inputs.size() - node.in_place;
  if (input < read_only) return {};
  return input - read_only + node.first_output;
}

using Pass = std::pair<Range, bool>;  // a range's, forward or backward
constexpr Pass kBackwardPass{Range::micro_step, true};

bool backward(const Node& node) {
  return node.range == Range::micro_step && node.tag.phase == Phase::backward;
}

Pass pass_of(const Node& node) {
  return {node.range, backward(node)};
}

template <typename Predicate>
Outputs outputs_if(const Node& node, const Predicate& predicate) {
  Outputs some;
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i].present() && predicate(node.outputs[i])) some.insert(i);
  return some;
}

// What the policy lets go of, and who reads it: by value of the graph.
struct Marks {
  Marks(const Graph& g, const MemoryPolicy& p)
      : graph(g), policy(p), dropped(g.values().size()), wanted(dropped), stays(dropped) {}

  const Graph& graph;
  const MemoryPolicy& policy;
  // the policy lets go of it; the backward pass or a clone reads it; it is kept, or something else reads it
  std::vector<bool> dropped, wanted, stays;
  std::set<std::pair<Pass, uint32_t>> remade_wanted;  // parameters' copies, by the pass that reads them

  bool is_dropped(ValueId v) const { return v.present() && dropped[v.index]; }
  Outputs wanted_of(const Node& node) const {
    return outputs_if(node, [&](ValueId v) { return dropped[v.index] && wanted[v.index]; });
  }
};

// An fp8 copy of a parameter that each pass makes for itself.
bool is_remade(const Marks& m, ValueId v) {
  if (!v.present()) return false;
  const Value& value = m.graph.values()[v.index];
  return value.kind == Kind::quantized && value.node != UINT32_MAX && m.policy.copies_of(value.layer) == Copies::remade;
}

// The codes of which the backward pass makes an fp8 copy that lies transposed beside them; absent for other values.
ValueId codes_of(const Marks& m, ValueId v) {
  if (!v.present()) return {};
  const Value& value = m.graph.values()[v.index];
  if (value.kind != Kind::quantized || value.node == UINT32_MAX ||
      m.policy.copies_of(value.layer) != Copies::transposed)
    return {};
  const Node& node = m.graph.nodes()[value.node];
  const auto i = size_t(std::ranges::find(node.outputs, v) - node.outputs.begin());
  return node.has_kernel() && op_of(node.op).on_rows(i) == OnRows::columns ? node.outputs[i - 1] : ValueId{};
}

Clone clone_of(const Marks& m, const Node& node, Outputs wanted) {
  const Outputs kept = outputs_if(node, [&](ValueId v) { return !m.dropped[v.index]; });
  return node.has_kernel() ? op_of(node.op).clone(node, wanted, kept) : again(node, wanted, kept);
}

// An overwritten value stays if the value that overwrites it does.
bool overwriting_stays(const Marks& m, const Node& node, size_t output) {
  return node.outputs[output].present() && m.stays[node.outputs[output].index];
}

// ---- what is let go of, and who reads it ----

void mark_dropped(Marks& m, const Node& node) {
  if (node.range != Range::micro_step || node.tag.phase != Phase::forward) return;
  const EnumSet<Recompute> set = m.policy.recompute_of(node.tag.layer);
  for (uint32_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (!v.present() || !m.graph.values()[v.index].name.empty()) continue;
    const bool in_place = i >= node.first_output && i < node.first_output + node.in_place;
    // bytes that a kept value shares, such as amax words, cannot be let go of
    const ValueId shares = in_place ? node.inputs[node.inputs.size() - node.in_place + i - node.first_output]
                           : node.form == Form::slice ? node.inputs[0]
                                                      : ValueId{};
    if (shares.present() && !m.is_dropped(shares)) continue;
    m.dropped[v.index] = drops(set, node.tag, m.graph.values()[v.index].kind);
  }
}

// The node's readers are marked.
void mark_used(Marks& m, const Node& node) {
  for (ValueId v : node.outputs)
    if (v.present() && !m.dropped[v.index]) m.stays[v.index] = true;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId v = node.inputs[i];
    if (!v.present()) continue;
    if (is_remade(m, v)) m.remade_wanted.insert({pass_of(node), v.index});
    else if (backward(node)) m.wanted[v.index] = true;
    else if (const auto output = overwriting(node, i))
      m.stays[v.index] = m.stays[v.index] || overwriting_stays(m, node, *output);
    else m.stays[v.index] = true;
  }
  const Outputs wanted = m.wanted_of(node);
  if (wanted == Outputs{}) return;
  for (ValueId v : clone_of(m, node, wanted).inputs) {
    if (is_remade(m, v)) m.remade_wanted.insert({kBackwardPass, v.index});
    else if (v.present()) m.wanted[v.index] = true;
  }
}

Marks marks_of(const Graph& graph, const MemoryPolicy& policy) {
  Marks m(graph, policy);
  for (const Node& node : graph.nodes()) mark_dropped(m, node);
  for (size_t n = graph.nodes().size(); n-- > 0;) mark_used(m, graph.nodes()[n]);
  return m;
}

// ---- the new graph ----

struct Recomputed {
  Rewriter rewriter;
  std::unordered_map<uint32_t, ValueId> clones = {};         // by value
  std::map<std::pair<Pass, uint32_t>, ValueId> remade = {};  // by pass and value
  std::map<std::pair<Range, uint32_t>, ValueId> transposed = {};
};

// A node of the forward pass makes optional outputs only where something other than the backward pass reads them.
void copy(const Marks& m, Recomputed& to, const Node& node) {
  const auto only = node.has_kernel() ? op_of(node.op).only : nullptr;
  const Outputs all = outputs_if(node, [](ValueId) { return true; });
  const Outputs needed = outputs_if(node, [&](ValueId v) { return m.stays[v.index]; });
  const Outputs read = outputs_if(node, [&](ValueId v) { return m.dropped[v.index] && m.stays[v.index]; });
  if (only == nullptr || needed == all || read == Outputs{}) return to.rewriter.copy(node);
  ValueIds inputs;
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (const auto output = overwriting(node, i); !output || overwriting_stays(m, node, *output))
      inputs.push_back(to.rewriter.map(node.inputs[i]));
  const auto& out = to.rewriter.emit(node, only(node.parameters, needed), std::move(inputs), node.tag.phase);
  for (size_t i = 0; i < out.size(); ++i)
    if (out[i].present()) to.rewriter.set(node.outputs[i], out[i]);
}

// The node without the outputs that are made of its others where they are read.
void copy_untransposed(const Marks& m, Recomputed& to, const Node& node) {
  const Outputs others = outputs_if(node, [&](ValueId v) { return !codes_of(m, v).present(); });
  to.rewriter.copy(node, op_of(node.op).only(node.parameters, others));
}

// The transpose of the codes, made once, in the pass that reads it.
ValueId transposed(const Marks& m, Recomputed& to, ValueId v, Range range) {
  const auto [found, fresh] = to.transposed.try_emplace({range, v.index});
  if (!fresh) return found->second;
  const Value& value = m.graph.values()[v.index];
  Tag tag = value.tag();
  tag.phase = Phase::recompute;
  const Scope scope(to.rewriter.graph(), tag);
  return found->second =
             transpose(to.rewriter.graph(), range, to.rewriter.map(codes_of(m, v)), m.graph.nodes()[value.node].label);
}

// A copy of a parameter, made once in each pass that reads it.
ValueId remake(const Marks& m, Recomputed& to, ValueId v, Pass pass) {
  const auto found = to.remade.find({pass, v.index});
  if (found != to.remade.end()) return found->second;
  Node here = m.graph.nodes()[m.graph.values()[v.index].node];
  here.range = pass.first;
  const auto is_wanted = [&](ValueId copy) { return m.remade_wanted.contains({pass, copy.index}); };
  const Clone made = clone_of(m, here, outputs_if(here, is_wanted));
  ValueIds inputs;
  for (ValueId input : made.inputs) inputs.push_back(to.rewriter.map(input));
  const auto& out =
      to.rewriter.emit(here, made.parameters, std::move(inputs), pass.second ? Phase::recompute : Phase::forward);
  for (size_t i = 0; i < out.size(); ++i)
    if (out[i].present()) to.remade[{pass, here.outputs[i].index}] = out[i];
  return to.remade.at({pass, v.index});
}

// A dropped value, made once more for the backward pass, and what it is made from.
ValueId clone(const Marks& m, Recomputed& to, ValueId v) {
  if (const auto found = to.clones.find(v.index); found != to.clones.end()) return found->second;
  const Node& node = m.graph.nodes()[m.graph.values()[v.index].node];
  const Clone made = clone_of(m, node, m.wanted_of(node));
  ValueIds inputs;
  for (ValueId input : made.inputs)
    inputs.push_back(is_remade(m, input)   ? remake(m, to, input, kBackwardPass)
                     : m.is_dropped(input) ? clone(m, to, input)
                                           : to.rewriter.map(input));
  const auto& out = to.rewriter.emit(node, made.parameters, std::move(inputs), Phase::recompute);
  for (size_t i = 0; i < out.size(); ++i)
    if (out[i].present() && node.outputs[i].present()) to.clones[node.outputs[i].index] = out[i];
  return to.clones.at(v.index);
}

}  // namespace

Graph recompute(const Graph& graph, const MemoryPolicy& policy) {
  const Marks m = marks_of(graph, policy);
  Recomputed to{Rewriter(graph)};
  for (const Node& node : graph.nodes()) {
    if (std::ranges::any_of(node.outputs, [&](ValueId v) { return is_remade(m, v); })) continue;
    for (ValueId v : node.inputs) {
      if (is_remade(m, v)) to.rewriter.set(v, remake(m, to, v, pass_of(node)));
      else if (codes_of(m, v).present()) to.rewriter.set(v, transposed(m, to, v, node.range));
      else if (backward(node) && m.is_dropped(v)) to.rewriter.set(v, clone(m, to, v));
    }
    if (std::ranges::any_of(node.outputs, [&](ValueId v) { return codes_of(m, v).present(); }))
      copy_untransposed(m, to, node);
    else copy(m, to, node);
  }
  return to.rewriter.take();
}

}  // namespace tandem
