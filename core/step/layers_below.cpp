#include "core/step/layers_below.h"

#include <algorithm>

#include "core/model/cut.h"
#include "core/passes/offload.h"
#include "core/step/step_graph.h"

namespace tandem {
namespace {

// The windows that run together are a micro-step's, so that a product finds the kernel that it has in a step. In fp8,
// whose scales span a batch, each runs alone: its stream depends on no other.
StepShape shape_of(const StepSpec& spec) {
  return {spec.precision.fp8() ? 1 : spec.shape.micro_batch, 1, spec.shape.sequence_length, 1};
}

Program compile_below(const StepSpec& spec, const StepShape& shape, const Target& target) {
  const ModelConfig below = layers_below(whole(spec.model), spec.model.first_layer);
  check_multiples(below, spec.precision, shape.rows());
  const Lora frozen{.rank = spec.lora.rank, .modules = {EnumSet<LoraModule>{}}};
  const Graph graph = build_stream_graph(below, spec.precision, shape.micro_batch, shape.sequence_length, frozen);
  Compiled resident = compile(graph, target);
  if (resident.memory.fits()) return std::move(resident.program);
  MemoryPolicy streamed;
  streamed.offload = {{Offload::parameters, Offload::copies}};
  return compile_to_run(offload(graph, streamed), target).program;
}

}  // namespace

LayersBelow::LayersBelow(Backend& backend, const Target& target, const StepSpec& spec)
    : shape_(shape_of(spec)),
      session_(backend, compile_below(spec, shape_, target)),
      tokens_(shape_.rows()),
      positions_(shape_.rows()),
      codes_(session_.desc("codes").bytes()),
      scales_(session_.desc("scales").bytes()) {
  session_.write("rope", bytes_of(rope_table(spec.model, shape_.sequence_length)));
}

LayersBelow::Streams LayersBelow::run(const Windows& windows, uint64_t first, uint64_t last) {
  const uint64_t T = shape_.sequence_length, n = std::min<uint64_t>(shape_.micro_batch, last - first);
  std::vector<int32_t> targets(T);
  for (uint64_t i = 0; i < shape_.micro_batch; ++i)  // the last one fills a batch up
    windows.fill(first + std::min(i, n - 1),
                 {std::span(tokens_).subspan(i * T, T), targets, std::span(positions_).subspan(i * T, T)});
  session_.write("tokens", bytes_of(tokens_));
  session_.write("positions", bytes_of(positions_));
  session_.run(Range::evaluate);
  session_.read("codes", codes_);
  session_.read("scales", scales_);
  return {n, std::span(codes_).first(codes_.size() / shape_.micro_batch * n),
          std::span(scales_).first(scales_.size() / shape_.micro_batch * n)};
}

}  // namespace tandem
