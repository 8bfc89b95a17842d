#include "core/graph/exchange.h"

#include "core/abi/transpose.h"

namespace tandem {

ValueId sum_of_ranks(Graph& graph, Range range, ValueId parts, const StepWords& words, ValueId g,
                     const abi::RankSum& how, const Label& label) {
  return graph.add(range, OpId::rank_sum, Parameters(how), {parts, words.scalars, words.counter, g}, label)[0];
}

ValueId transpose(Graph& graph, Range range, ValueId codes, const Label& label) {
  return graph.add(range, OpId::transpose, Parameters(abi::Transpose{}), {codes}, label)[0];
}

}  // namespace tandem
