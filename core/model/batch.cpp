#include "core/model/batch.h"

#include "core/abi/advance_micro_step.h"
#include "core/abi/begin_step.h"
#include "core/abi/load_micro_step.h"
#include "core/abi/state_codes.h"
#include "core/abi/step_scalars.h"

namespace tandem {

StepInputs declare_inputs(Graph& graph, const ModelConfig& config, uint32_t accumulation, uint32_t rows) {
  const TensorDesc words{DType::i32, {kSlots, accumulation, rows}};
  StepInputs inputs;
  {
    const Scope scope(graph, {Kind::io});
    if (config.first_layer == 0) {
      inputs.tokens = graph.external("inputs.tokens", words);
    } else {
      const uint64_t blocks = abi::state_blocks(config.hidden);
      inputs.stream = {graph.external("inputs.codes", {DType::e4m3, {kSlots, accumulation, rows, config.hidden}}),
                       graph.external("inputs.scales", {DType::u8, {kSlots, accumulation, rows, blocks}})};
    }
    inputs.targets = graph.external("inputs.targets", words);
    inputs.positions = graph.external("inputs.positions", words);
    inputs.scalars = graph.external("inputs.scalars", {DType::u32, {kSlots, abi::kStepScalarWords}});
  }
  inputs.counter = graph.variable("counter", {DType::i32, {abi::kStepScalarWords}}, Initial::zero);
  return inputs;
}

ValueId begin_step(Graph& graph, const StepInputs& inputs) {
  // outputs: the counter, in place, and the scalars
  return graph.add(Range::begin, OpId::begin_step, Parameters(abi::BeginStep{}), {inputs.scalars, inputs.counter},
                   "begin")[1];
}

Batch load_batch(Graph& graph, Range range, const StepInputs& inputs, DType dtype) {
  const Scope scope(graph, {Kind::io});
  const ValueId counter =
      graph.add(range, OpId::advance_micro_step, Parameters(abi::AdvanceMicroStep{}), {inputs.counter}, "batch")[0];
  const auto one = [&](ValueId from) {
    return graph.add(range, OpId::load_micro_step, Parameters(abi::LoadMicroStep{}), {from, counter}, "batch")[0];
  };
  const auto stream = [&] {
    const Scope of_first_layer(graph, {Kind::residual, 0});
    return stream_of(graph, range, inputs.stream, counter, dtype);
  };
  const ValueId input = inputs.tokens.present() ? one(inputs.tokens) : stream();
  return {input, one(inputs.targets), one(inputs.positions)};
}

}  // namespace tandem
