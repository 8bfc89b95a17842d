#include "core/passes/recompute.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "core/passes/rewriter.h"

namespace tandem {
namespace {

// Does the policy let go of what such a node makes? kind: of the value
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

class Recomputer {
 public:
  Recomputer(const Graph& graph, const MemoryPolicy& policy)
      : graph_(graph),
        policy_(policy),
        rewriter_(graph),
        dropped_(graph.values().size()),
        wanted_(dropped_),
        stays_(dropped_) {
    for (const Node& node : graph.nodes()) mark_dropped(node);
    for (size_t n = graph.nodes().size(); n-- > 0;) mark_used(graph.nodes()[n]);  // readers before what they read
  }

  Graph run() {
    for (const Node& node : graph_.nodes()) {
      if (makes_remade(node)) continue;
      for (ValueId v : node.inputs) {
        if (remade(v)) rewriter_.set(v, remake(v, pass_of(node)));
        else if (backward(node) && dropped(v)) rewriter_.set(v, clone_of(v));
      }
      copy(node);
    }
    return rewriter_.take();
  }

 private:
  static bool backward(const Node& node) {
    return node.range == Range::micro_step && node.tag.phase == Phase::backward;
  }
  bool dropped(ValueId v) const { return v.present() && dropped_[v.index]; }
  const Node& producer(ValueId v) const { return graph_.nodes()[graph_.values()[v.index].node]; }

  template <typename Predicate>
  static Outputs outputs_if(const Node& node, const Predicate& predicate) {
    Outputs some;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i].present() && predicate(node.outputs[i])) some.insert(i);
    return some;
  }

  Clone clone_of(const Node& node, Outputs wanted) const {
    const Outputs kept = outputs_if(node, [&](ValueId v) { return !dropped_[v.index]; });
    return node.has_kernel() ? op_of(node.op).clone(node, wanted, kept) : again(node, wanted, kept);
  }

  // ---- what is let go of, and who reads it ----

  void mark_dropped(const Node& node) {
    if (node.range != Range::micro_step || node.tag.phase != Phase::forward) return;
    const EnumSet<Recompute> set = policy_.recompute_of(node.tag.layer);
    for (uint32_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId v = node.outputs[i];
      if (!v.present() || !graph_.values()[v.index].name.empty()) continue;
      const bool in_place = i >= node.first_output && i < node.first_output + node.in_place;
      // bytes that a kept value shares, such as amax words, cannot be let go of
      const ValueId shares = in_place ? node.inputs[node.inputs.size() - node.in_place + i - node.first_output]
                             : node.form == Form::slice ? node.inputs[0]
                                                        : ValueId{};
      if (shares.present() && !dropped(shares)) continue;
      dropped_[v.index] = drops(set, node.tag, graph_.values()[v.index].kind);
    }
  }

  void mark_used(const Node& node) {
    for (ValueId v : node.outputs)
      if (v.present() && !dropped_[v.index]) stays_[v.index] = true;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      if (!v.present()) continue;
      if (remade(v)) remake_wanted_.insert({pass_of(node), v.index});
      else if (backward(node)) wanted_[v.index] = true;
      else if (const auto output = overwriting(node, i)) stays_[v.index] = stays_[v.index] || stays(node, *output);
      else stays_[v.index] = true;
    }
    const Outputs wanted = outputs_if(node, [&](ValueId v) { return dropped_[v.index] && wanted_[v.index]; });
    if (wanted == Outputs{}) return;
    for (ValueId v : clone_of(node, wanted).inputs) {
      if (remade(v)) remake_wanted_.insert({kBackwardPass, v.index});
      else if (v.present()) wanted_[v.index] = true;
    }
  }

  // An overwritten value stays if the value that overwrites it does.
  bool stays(const Node& node, size_t output) const {
    return node.outputs[output].present() && stays_[node.outputs[output].index];
  }

  // A node of the forward pass makes optional outputs only where something other than the backward pass reads them.
  void copy(const Node& node) {
    const auto only = node.has_kernel() ? op_of(node.op).only : nullptr;
    const Outputs all = outputs_if(node, [](ValueId) { return true; });
    const Outputs needed = outputs_if(node, [&](ValueId v) { return stays_[v.index]; });
    const Outputs read = outputs_if(node, [&](ValueId v) { return dropped_[v.index] && stays_[v.index]; });
    if (only == nullptr || needed == all || read == Outputs{}) return rewriter_.copy(node);
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (const auto output = overwriting(node, i); !output || stays(node, *output))
        inputs.push_back(rewriter_.map(node.inputs[i]));
    const auto out = rewriter_.emit(node, only(node.parameters, needed), std::move(inputs), node.tag.phase);
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i].present()) rewriter_.set(node.outputs[i], out[i]);
  }

  // ---- activations ----

  ValueId clone_of(ValueId v) {
    if (!clones_.contains(v.index)) clone(producer(v));
    return clones_.at(v.index);
  }

  void clone(const Node& node) {
    const Outputs wanted = outputs_if(node, [&](ValueId v) { return dropped_[v.index] && wanted_[v.index]; });
    const Clone made = clone_of(node, wanted);
    std::vector<ValueId> inputs;
    for (ValueId v : made.inputs)
      inputs.push_back(remade(v) ? remake(v, kBackwardPass) : dropped(v) ? clone_of(v) : rewriter_.map(v));
    const auto out = rewriter_.emit(node, made.parameters, std::move(inputs), Phase::recompute);
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i].present() && node.outputs[i].present()) clones_[node.outputs[i].index] = out[i];
  }

  // ---- fp8 copies of parameters ----

  using Pass = std::pair<Range, bool>;  // a range's, forward or backward
  static Pass pass_of(const Node& node) { return {node.range, backward(node)}; }
  static constexpr Pass kBackwardPass{Range::micro_step, true};

  bool remade(ValueId v) const {
    if (!v.present()) return false;
    const Value& value = graph_.values()[v.index];
    return value.kind == Kind::quantized && value.node != UINT32_MAX &&
           policy_.copies_of(value.layer) == Copies::remade;
  }
  bool makes_remade(const Node& node) const {
    return std::ranges::any_of(node.outputs, [&](ValueId v) { return remade(v); });
  }

  ValueId remake(ValueId v, Pass pass) {
    const auto found = remade_.find({pass, v.index});
    if (found != remade_.end()) return found->second;
    Node here = producer(v);
    here.range = pass.first;
    const Clone made = clone_of(here, outputs_if(here, [&](ValueId copy) {
                                  return remake_wanted_.contains({pass, copy.index});
                                }));
    std::vector<ValueId> inputs;
    for (ValueId input : made.inputs) inputs.push_back(rewriter_.map(input));
    const auto out =
        rewriter_.emit(here, made.parameters, std::move(inputs), pass.second ? Phase::recompute : Phase::forward);
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i].present()) remade_[{pass, here.outputs[i].index}] = out[i];
    return remade_.at({pass, v.index});
  }

  const Graph& graph_;
  const MemoryPolicy& policy_;
  Rewriter rewriter_;
  // by value: the policy lets go of it; the backward pass or a clone reads it; it is kept, or something else reads it
  std::vector<bool> dropped_, wanted_, stays_;
  std::unordered_map<uint32_t, ValueId> clones_;  // by value: of the new graph
  // by pass and value, of parameters' copies
  std::set<std::pair<Pass, uint32_t>> remake_wanted_;
  std::map<std::pair<Pass, uint32_t>, ValueId> remade_;
};

}  // namespace

Graph recompute(const Graph& graph, const MemoryPolicy& policy) {
  return Recomputer(graph, policy).run();
}

}  // namespace tandem
