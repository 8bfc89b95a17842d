#include "core/model/head.h"

#include <algorithm>

#include "core/abi/cross_entropy.h"
#include "core/abi/gemm.h"
#include "core/abi/loss_sum.h"
#include "core/base/size.h"

namespace tandem {
namespace {

// logits = x W^T over the true vocabulary: dW += dlogits^T x, dx = dlogits W
ValueId head_gradient(Graph& graph, Range range, const Transformer& model, Backward& backward, ValueId x,
                      ValueId dlogits) {
  const Scope scope(graph, {Kind::cotangent, kNoLayer, Phase::backward});
  const ValueId w = model.head();
  const uint32_t vocabulary = model.config().vocabulary;
  const abi::Gemm dw{.m = vocabulary, .form = abi::kGemmTn, .accumulate = 1};
  if (backward.has_accumulator(w)) {
    const ValueIds inputs{dlogits, x, {}, {}, {}, backward.accumulator(w)};
    backward.update_accumulator(w, graph.add(range, OpId::gemm, Parameters(dw), inputs, "lm_head")[0]);
  }
  const abi::Gemm dx{.k = vocabulary, .form = abi::kGemmNn};
  return graph.add(range, OpId::gemm, Parameters(dx), {dlogits, w, {}, {}, {}}, "lm_head")[0];
}

}  // namespace

ValueId logits_of(Graph& graph, Range range, const Transformer& model, ValueId hidden) {
  const abi::Gemm p{.ldc = model.config().padded_vocabulary(), .form = abi::kGemmNt};
  const Scope scope(graph, {Kind::logits});
  return graph.add(range, OpId::gemm, Parameters(p), {hidden, model.head(), {}, {}, {}}, "lm_head")[0];
}

HeadResult lm_head(Graph& graph, Range range, const Transformer& model, const HeadInputs& inputs, uint32_t chunks,
                   float z_loss, ReverseMode* backward) {
  const uint64_t rows = graph.desc(inputs.hidden).shape[0];
  const uint64_t chunk = round_up(divide_up(rows, chunks), kHeadChunkRows);
  const abi::CrossEntropy p{
      .vocabulary = model.config().vocabulary, .write_gradient = backward != nullptr ? 1u : 0u, .z_loss = z_loss};
  const Scope scope(graph, {Kind::logits});
  ValueIds losses, cotangents;
  for (uint64_t first = 0; first < rows; first += chunk) {
    const uint64_t count = std::min(chunk, rows - first);
    const ValueId x = graph.slice(range, inputs.hidden, first, count),
                  y = graph.slice(range, inputs.targets, first, count);
    const ValueId logits = logits_of(graph, range, model, x);
    const auto out = graph.add(range, OpId::cross_entropy, Parameters(p), {y, inputs.scalars, logits}, "loss");
    losses.push_back(out[1]);
    if (backward != nullptr) cotangents.push_back(head_gradient(graph, range, model, *backward, x, out[0]));
  }
  const ValueId all = graph.concat(range, losses);
  HeadResult result;
  result.loss = graph.add(range, OpId::loss_sum, Parameters(abi::LossSum{}), {all, inputs.loss}, "loss")[0];
  if (backward != nullptr) result.cotangent = graph.concat(range, cotangents);
  return result;
}

}  // namespace tandem
