#include "core/optimizer/optimizer.h"

#include "core/optimizer/adamw.h"

namespace tandem {

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const Precision& precision) {
  return make_adamw(options, precision);
}

std::vector<std::string> state_words(const Optimizer& optimizer, std::span<const ParameterSpec> specs) {
  std::vector<std::string> words;
  for (const ParameterSpec& spec : specs) {
    const std::vector<State> states = optimizer.states(spec);
    for (size_t s = words.size(); s < states.size(); ++s) words.push_back(states[s].word);
  }
  return words;
}

}  // namespace tandem
