#include "core/optimizer/optimizer.h"

#include <algorithm>

#include "core/optimizer/adamw.h"
#include "core/optimizer/muon.h"
#include "core/optimizer/sgd.h"

namespace tandem {

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const Precision& precision) {
  switch (options.kind) {
    case OptimizerKind::muon:
      return make_muon(options, precision);
    case OptimizerKind::sgd:
      return make_sgd(options, precision);
    case OptimizerKind::adamw:
      break;
  }
  return make_adamw(options, precision);
}

std::vector<std::string> state_words(const Optimizer& optimizer, std::span<const ParameterSpec> specs) {
  std::vector<std::string> words;
  for (const ParameterSpec& spec : specs)
    for (const State& state : optimizer.states(spec))
      if (std::ranges::find(words, state.word) == words.end()) words.push_back(state.word);
  return words;
}

}  // namespace tandem
