// An optimizer: its states, its parameter groups, and the nodes that update a parameter. The norm of all gradients,
// clipping, the verdict and the report stand before it, the same for each (core/optimizer/update.h).
#pragma once

#include <memory>

#include "core/graph/graph.h"
#include "core/model/precision.h"
#include "core/model/weights.h"
#include "core/optimizer/options.h"

namespace tandem {

// A tensor that an optimizer keeps per parameter.
struct State {
  std::string name;    // "m"
  TensorDesc desc;     // any shape and dtype
  Initial initial;     // zero, or the parameter itself
  std::string suffix;  // ends its binding's name behind the parameter's name, and of its tensors in checkpoints: ".m"
  std::string word;    // in memory.offload; states of a parameter that share one move together
  // What each stored tensor has of it, where that is not the tensor's rows: shape, place and first count.
  std::vector<StoredTensor> parts = {};
};

struct Group {
  std::string name;
  bool trainable = true;
  double weight_decay = 0;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual Group group(const ParameterSpec& spec) const = 0;
  // Per parameter. States of one word have one number, in Tag and in memory policies: the word's in state_words.
  virtual std::vector<State> states(const ParameterSpec& spec) const = 0;
  // The words that emit reads, made of the verdict: (16) u32, abi Verdict, once for all parameters, or (tensors, 64)
  // u32 of a parameter's stored tensors.
  virtual ValueId prepare(Graph& graph, ValueId verdict) const = 0;
  // Updates a parameter and its states in place; gradient as the gradients' dtype has it.
  virtual void emit(Graph& graph, const ParameterSpec& spec, ValueId words, ValueId gradient,
                    std::span<const ValueId> parameter_and_states) const = 0;
};

// A matrix inside a layer, which Muon, APOLLO and GaLore update in a way of their own.
bool is_layer_matrix(const ParameterSpec& spec);

// Optimizer::prepare where there is nothing to correct in averages: both corrections are 1.
ValueId uncorrected_words(Graph& graph, ValueId verdict);

// What each stored tensor of the parameter has of a state, in their order.
std::vector<StoredTensor> parts_of(const State& state, const ParameterSpec& spec);

// The scales of a matrix's state of codes (core/abi/state_codes.h), with its word.
State scales_of(const ParameterSpec& spec, const State& codes);

// A parameter's value in f32, where one is kept beside it.
constexpr std::string_view kMasterSuffix = ".master";
State master_of(const ParameterSpec& spec);

// Matrices, which decay, vectors, and what is frozen.
Group group_by_shape(const ParameterSpec& spec, double weight_decay);

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const Precision& precision);

// The words of the states in memory.offload, by number: each once, in the order in which they come.
std::vector<std::string> state_words(const Optimizer& optimizer, std::span<const ParameterSpec> specs);

}  // namespace tandem
