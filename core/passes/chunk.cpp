#include "core/passes/chunk.h"

#include <numeric>

#include "core/abi/adamw.h"
#include "core/abi/attention_backward.h"
#include "core/base/size.h"
#include "core/passes/rewriter.h"

namespace tandem {
namespace {

uint64_t row_bytes(const TensorDesc& desc) {
  return desc.bytes() / desc.shape[0];
}

// the fewest rows whose bytes are a multiple of alignment
uint64_t aligned_rows(uint64_t bytes_of_row, uint64_t alignment) {
  return alignment / std::gcd(bytes_of_row, alignment);
}

class Chunker {
 public:
  Chunker(const Graph& graph, const MemoryPolicy& policy, const Target& target)
      : graph_(graph), policy_(policy), target_(target), rewriter_(graph) {}

  Graph run() {
    for (const Node& node : graph_.nodes()) {
      if (node.op == OpId::adamw && policy_.optimizer_chunk > 0) adamw(node);
      else if (policy_.attention_chunks <= 1 || !attention(node)) rewriter_.copy(node);
    }
    return rewriter_.take();
  }

 private:
  ValueId part(const Node& node, ValueId of, uint64_t first, uint64_t rows) {
    rewriter_.graph().set_tag(node.tag);
    return rewriter_.graph().slice(node.range, of, first, rows);
  }

  // ---- AdamW, over rows of the parameter ----

  void adamw(const Node& node) {
    const TensorDesc& parameter = graph_.desc(node.inputs[2]);
    const uint64_t rows = parameter.shape[0], columns = parameter.shape.count() / rows;
    uint64_t unit = 1;  // rows that parts begin at multiples of
    for (ValueId v : node.inputs)
      if (v.present() && v != node.inputs[1])
        unit = std::lcm(unit, aligned_rows(row_bytes(graph_.desc(v)), target_.alignment));
    const uint64_t step = std::max(unit, policy_.optimizer_chunk / columns / unit * unit);
    if (step >= rows) return rewriter_.copy(node);
    for (uint64_t first = 0; first < rows; first += step) {
      const uint64_t count = std::min(step, rows - first);
      std::vector<ValueId> inputs;
      for (ValueId v : node.inputs)
        inputs.push_back(v == node.inputs[1] || !v.present() ? rewriter_.map(v)
                                                             : part(node, rewriter_.map(v), first, count));
      const Parameters p(segments_of(node.parameters.as<abi::AdamW>(), uint32_t(first * columns), count * columns));
      rewriter_.emit(node, p, std::move(inputs), node.tag.phase);
    }
  }

  // the segments that elements first ... first + count - 1 lie in, counted from first
  static abi::AdamW segments_of(const abi::AdamW& whole, uint32_t first, uint64_t count) {
    abi::AdamW p = whole;
    p.segments = 0;
    for (uint32_t s = 0; s < whole.segments; ++s) {
      const uint64_t end = s + 1 < whole.segments ? whole.segment_begin[s + 1] : whole.count;
      if (end <= first || whole.segment_begin[s] >= first + count) continue;
      p.segment_begin[p.segments] = whole.segment_begin[s] - first;  // modulo 2^32, see the abi
      p.segment_tensor[p.segments++] = whole.segment_tensor[s];
    }
    return p;
  }

  // ---- attention's backward pass, over sequences: its three nodes are split together, where the last one stands ----

  bool attention(const Node& node) {
    if (node.op == OpId::attention_delta) return delta_ = &node, true;
    if (node.op == OpId::attention_backward_query) return query_ = &node, true;
    if (node.op != OpId::attention_backward_key_value) return false;
    TANDEM_CHECK(delta_ && query_ && node.inputs[4] == delta_->outputs[0] && node.inputs[5] == query_->outputs[0],
                 "{}: attention's backward nodes do not belong together", node.label);
    backward(node);
    delta_ = query_ = nullptr;
    return true;
  }

  void backward(const Node& node) {
    const auto p = node.parameters.as<abi::AttentionBackward>();
    uint64_t step = (p.batch + policy_.attention_chunks - 1) / policy_.attention_chunks;
    for (ValueId v : {node.inputs[0], node.inputs[1], node.inputs[2], node.inputs[3]})
      step = round_up(step, aligned_rows(graph_.desc(v).bytes() / p.batch, target_.alignment));
    if (step >= p.batch) {
      for (const Node* n : {delta_, query_, &node}) rewriter_.copy(*n);
      return;
    }
    std::vector<ValueId> parts;
    for (uint64_t first = 0; first < p.batch; first += step)
      parts.push_back(sequences(node, p, first, std::min<uint64_t>(step, p.batch - first)));
    rewriter_.graph().set_tag(node.tag);
    rewriter_.set(node.outputs[0], rewriter_.graph().concat(node.range, std::move(parts)));
  }

  // dqkv of some sequences
  ValueId sequences(const Node& node, const abi::AttentionBackward& p, uint64_t first, uint64_t count) {
    const uint64_t t = p.sequence_length;
    const auto rows = [&](ValueId v) { return part(node, rewriter_.map(v), first * t, count * t); };
    const ValueId qkv = rows(node.inputs[0]), positions = rows(node.inputs[1]), dout = rows(node.inputs[2]);
    const ValueId lse = part(node, rewriter_.map(node.inputs[3]), first, count);
    const ValueId delta =
        rewriter_.emit(*delta_, delta_->parameters, {dout, rows(delta_->inputs[1])}, node.tag.phase)[0];
    const ValueId dq =
        rewriter_.emit(*query_, query_->parameters, {qkv, positions, dout, lse, delta}, node.tag.phase)[0];
    return rewriter_.emit(node, node.parameters, {qkv, positions, dout, lse, delta, dq}, node.tag.phase)[0];
  }

  const Graph& graph_;
  const MemoryPolicy& policy_;
  const Target& target_;
  Rewriter rewriter_;
  const Node *delta_ = nullptr, *query_ = nullptr;
};

}  // namespace

Graph chunk(const Graph& graph, const MemoryPolicy& policy, const Target& target) {
  return Chunker(graph, policy, target).run();
}

}  // namespace tandem
