#include "core/optimizer/optimizer.h"

#include <algorithm>

#include "core/abi/adamw_corrections.h"
#include "core/abi/state_codes.h"
#include "core/optimizer/adalomo.h"
#include "core/optimizer/adamw.h"
#include "core/optimizer/muon.h"
#include "core/optimizer/projected.h"
#include "core/optimizer/sgd.h"

namespace tandem {

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const Precision& precision) {
  switch (options.kind) {
    case OptimizerKind::muon:
      return make_muon(options, precision);
    case OptimizerKind::sgd:
      return make_sgd(options, precision);
    case OptimizerKind::adalomo:
      return make_adalomo(options, precision);
    case OptimizerKind::apollo:
    case OptimizerKind::galore:
      return make_projected(options, precision);
    case OptimizerKind::adamw:
      break;
  }
  return make_adamw(options, precision);
}

bool is_layer_matrix(const ParameterSpec& spec) {
  return spec.kind == ParameterKind::matrix && spec.layer != kNoLayer && !spec.frozen;
}

ValueId uncorrected_words(Graph& graph, ValueId verdict) {
  return graph.add(Range::update, OpId::adamw_corrections, Parameters(abi::AdamwCorrections{}), {verdict}, "update")[0];
}

std::vector<StoredTensor> parts_of(const State& state, const ParameterSpec& spec) {
  if (!state.parts.empty()) return state.parts;
  std::vector<StoredTensor> parts;
  for (const StoredTensor& part : spec.parts) parts.push_back(part_of_state(spec, part, state.desc));
  return parts;
}

State master_of(const ParameterSpec& spec) {
  return {"master", {DType::f32, spec.shape}, Initial::parameter, std::string(kMasterSuffix), "master"};
}

Group group_by_shape(const ParameterSpec& spec, double weight_decay) {
  const bool decays = spec.shape.rank() >= 2;
  if (spec.frozen) return {.name = "frozen", .trainable = false};
  return {decays ? "matrices" : "vectors", true, decays ? weight_decay : 0.0};
}

State scales_of(const ParameterSpec& spec, const State& codes) {
  const Shape shape{spec.shape[0], abi::state_blocks(uint32_t(spec.shape[1]))};
  return {codes.name + "_scale", {DType::u8, shape}, Initial::zero, codes.suffix + "_scale", codes.word};
}

std::vector<std::string> state_words(const Optimizer& optimizer, std::span<const ParameterSpec> specs) {
  std::vector<std::string> words;
  for (const ParameterSpec& spec : specs)
    for (const State& state : optimizer.states(spec))
      if (std::ranges::find(words, state.word) == words.end()) words.push_back(state.word);
  return words;
}

}  // namespace tandem
