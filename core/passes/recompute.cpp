#include "core/passes/recompute.h"

#include <map>
#include <set>
#include <unordered_map>

#include "core/abi/swiglu_quantize.h"
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

bool makes_copies(const Node& node) {
  return node.op == OpId::quantize || node.op == OpId::swiglu_quantize;
}

// of the two passes of Quantizer::quantize_result the second one, which makes what others read
bool checks_guess(const Node& node) {
  return node.op == OpId::swiglu_quantize && node.parameters.as<abi::SwigluQuantize>().scale == abi::kScaleChecked;
}

template <typename P>
Parameters with_copies(const Node& node, bool q, bool qt) {
  auto p = node.parameters.as<P>();
  p.has_q = q;
  p.has_qt = qt;
  return Parameters(p);
}
// the parameters of a node that makes_copies, for those asked for
Parameters copy_parameters(const Node& node, bool q, bool qt) {
  return node.op == OpId::quantize ? with_copies<abi::Quantize>(node, q, qt)
                                   : with_copies<abi::SwigluQuantize>(node, q, qt);
}

Parameters with_known_scale(const Parameters& parameters) {
  auto p = parameters.as<abi::SwigluQuantize>();
  p.scale = abi::kScaleKnown;
  return Parameters(p);
}

class Recomputer {
 public:
  Recomputer(const Graph& graph, const MemoryPolicy& policy)
      : graph_(graph),
        policy_(policy),
        rewriter_(graph),
        dropped_(graph.values().size()),
        wanted_(dropped_),
        kept_use_(dropped_) {
    for (const Node& node : graph.nodes()) {
      mark_dropped(node);
      if (checks_guess(node)) check_of_[node.inputs[2].index] = &node;
    }
    for (const Node& node : graph.nodes())
      for (ValueId v : node.inputs) {
        if (!v.present()) continue;
        if (remade(v)) remake_wanted_.insert({pass_of(node), v.index});
        else if (backward(node)) want(v);
        else kept_use_[v.index] = true;
      }
  }

  Graph run() {
    for (const Node& node : graph_.nodes()) {
      if (node.range == Range::begin && node.op == OpId::quantize && remade(node.outputs[0])) continue;
      for (ValueId v : node.inputs) {
        if (remade(v)) rewriter_.set(v, remake(v, pass_of(node)));
        else if (backward(node) && dropped(v)) rewriter_.set(v, clone_of(v));
      }
      if (makes_copies(node)) copy_copies(node);
      else rewriter_.copy(node);
    }
    return rewriter_.take();
  }

 private:
  static bool backward(const Node& node) {
    return node.range == Range::micro_step && node.tag.phase == Phase::backward;
  }
  bool dropped(ValueId v) const { return v.present() && dropped_[v.index]; }
  bool wanted(ValueId v) const { return v.present() && wanted_[v.index]; }

  // ---- fp8 copies of parameters ----

  using Pass = std::pair<Range, bool>;  // of a range, forward or backward
  static Pass pass_of(const Node& node) { return {node.range, backward(node)}; }
  static constexpr Pass kBackwardPass{Range::micro_step, true};

  bool remade(ValueId v) const {
    if (!v.present()) return false;
    const Value& value = graph_.values()[v.index];
    return value.kind == Kind::quantized && value.node != UINT32_MAX && producer(v).op == OpId::quantize &&
           policy_.copies_of(value.layer) == Copies::remade;
  }

  ValueId remake(ValueId v, Pass pass) {
    const auto found = remade_.find({pass, v.index});
    if (found != remade_.end()) return found->second;
    const Node& node = producer(v);
    const auto asked = [&](ValueId copy) { return copy.present() && remake_wanted_.contains({pass, copy.index}); };
    Node here = node;
    here.range = pass.first;
    const auto out = rewriter_.emit(here, copy_parameters(node, asked(node.outputs[0]), asked(node.outputs[1])),
                                    {rewriter_.map(node.inputs[0]), rewriter_.map(node.inputs[1])},
                                    pass.second ? Phase::recompute : Phase::forward);
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i].present()) remade_[{pass, node.outputs[i].index}] = out[i];
    return remade_.at({pass, v.index});
  }

  // ---- activations ----

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

  // marks what the backward pass will ask clones for
  void want(ValueId v) {
    if (remade(v)) remake_wanted_.insert({kBackwardPass, v.index});
    if (!dropped(v) || wanted_[v.index]) return;
    wanted_[v.index] = true;
    const Node& node = producer(v);
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (!(norms_kept_sum(node) && i < 2) && !(checks_guess(node) && i > 1)) want(node.inputs[i]);
  }

  // the clone of a norm of x + delta whose sum is kept reads the sum in their place
  bool norms_kept_sum(const Node& node) const {
    return node.op == OpId::rms_norm && node.outputs[0].present() && !dropped(node.outputs[0]);
  }

  const Node& producer(ValueId v) const { return graph_.nodes()[graph_.values()[v.index].node]; }

  // its codes, or their transpose, only where something other than the backward pass reads them
  void copy_copies(const Node& node) {
    const auto check = check_of_.find(node.outputs[0].present() ? node.outputs[0].index : UINT32_MAX);
    const Node& last = check == check_of_.end() ? node : *check->second;
    const auto stays = [&](ValueId v) { return v.present() && (!dropped_[v.index] || kept_use_[v.index]); };
    const bool q = stays(last.outputs[0]), qt = stays(last.outputs[1]);
    const bool all = q == last.outputs[0].present() && qt == last.outputs[1].present();
    if (all || (!q && !qt)) return rewriter_.copy(node);
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (qt || !checks_guess(node) || i < 3) inputs.push_back(rewriter_.map(node.inputs[i]));
    const auto out = rewriter_.emit(node, copy_parameters(node, q, qt), std::move(inputs), node.tag.phase);
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i].present()) rewriter_.set(node.outputs[i], out[i]);
  }

  ValueId clone_of(ValueId v) {
    if (!clones_.contains(v.index)) clone(producer(v));
    return clones_.at(v.index);
  }

  void clone(const Node& node) {
    Parameters parameters = node.parameters;
    std::vector<ValueId> inputs;
    if (norms_kept_sum(node)) inputs = {rewriter_.map(node.outputs[0]), {}};
    const size_t count = checks_guess(node) ? 2 : node.inputs.size();  // x and its amax
    for (size_t i = inputs.size(); i < count; ++i)
      inputs.push_back(remade(node.inputs[i])    ? remake(node.inputs[i], kBackwardPass)
                       : dropped(node.inputs[i]) ? clone_of(node.inputs[i])
                                                 : rewriter_.map(node.inputs[i]));
    if (makes_copies(node)) parameters = copy_parameters(node, wanted(node.outputs[0]), wanted(node.outputs[1]));
    if (checks_guess(node)) parameters = with_known_scale(parameters);
    // no amax, the optional last input: the forward pass took it
    if (node.in_place > 0 && graph_.desc(node.inputs.back()).dtype == DType::u32) inputs.pop_back();
    const auto out = rewriter_.emit(node, parameters, std::move(inputs), Phase::recompute);
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i].present() && node.outputs[i].present()) clones_[node.outputs[i].index] = out[i];
  }

  const Graph& graph_;
  const MemoryPolicy& policy_;
  Rewriter rewriter_;
  // by value: the policy lets go of it; the backward pass or a clone reads it; anything else does
  std::vector<bool> dropped_, wanted_, kept_use_;
  std::unordered_map<uint32_t, const Node*> check_of_;  // by the codes that it checks
  std::unordered_map<uint32_t, ValueId> clones_;        // by value: of the new graph
  // by pass and value, of parameters' copies
  std::set<std::pair<Pass, uint32_t>> remake_wanted_;
  std::map<std::pair<Pass, uint32_t>, ValueId> remade_;
};

}  // namespace

Graph recompute(const Graph& graph, const MemoryPolicy& policy) {
  return Recomputer(graph, policy).run();
}

}  // namespace tandem
