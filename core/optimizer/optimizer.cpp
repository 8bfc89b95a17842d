#include "core/optimizer/optimizer.h"

#include <algorithm>

#include "core/optimizer/adamw.h"
#include "core/optimizer/muon.h"

namespace tandem {

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const Precision& precision) {
  return options.kind == OptimizerKind::muon ? make_muon(options, precision) : make_adamw(options, precision);
}

std::vector<std::string> state_words(const Optimizer& optimizer, std::span<const ParameterSpec> specs) {
  std::vector<std::string> words;
  for (const ParameterSpec& spec : specs)
    for (const State& state : optimizer.states(spec))
      if (std::ranges::find(words, state.word) == words.end()) words.push_back(state.word);
  return words;
}

}  // namespace tandem
