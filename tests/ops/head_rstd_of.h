// rstd as head_rms_norm computes it for x
#pragma once

#include "core/abi/head_rms_norm.h"
#include "tests/ops/head_sizes.h"
#include "tests/support/evaluate.h"

namespace tandem::test {

inline void set_head_rstd(const Heads& h, const Tensor& x, Tensor& rstd) {
  Buffer weight = make_buffer({x.dtype(), {h.dim}});
  std::vector<Buffer> outputs = evaluate(OpId::head_rms_norm, Parameters(abi::HeadRmsNorm{0, h.q, h.kv, h.dim, 1e-6f}),
                                         {x, weight.view(), weight.view()});
  for (uint64_t i = 0; i < rstd.size(); ++i) rstd.set(i, outputs[1].view().get(i));
}

}  // namespace tandem::test
