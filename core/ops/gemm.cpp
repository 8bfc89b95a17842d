// a, b, bias (n) or (m, ldc)|-, scale_a (1) f32|-, scale_b (1) f32|-, c when accumulating -> c (m, ldc).
// The caller sets form, accumulate and fast_accumulation; beside a matrix alpha and beta. m, n, k: 0 means what the
// shapes give; ldc > n pads the rows of c. c is as a, and bf16 for e4m3.
#include "core/abi/gemm.h"

#include "core/abi/bias_gradient.h"
#include "core/abi/transpose.h"
#include "core/ops/inputs.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

// a size that the caller may narrow below what the shape has: a padded operand
void narrow(const char* name, uint32_t& size, uint64_t largest) {
  if (size == 0) size = u32(largest);
  require(size <= largest, "gemm: {} is {}, but the operand has {}", name, size, largest);
}

void infer_sizes(const Shape& a, const Shape& b, const TensorDesc* c, abi::Gemm& p) {
  p.lda = u32(a[1]);
  p.ldb = u32(b[1]);
  const bool tn = p.form == abi::kGemmTn, nt = p.form == abi::kGemmNt;
  narrow("m", p.m, c ? c->shape[0] : (tn ? a[1] : a[0]));
  narrow("n", p.n, nt ? b[0] : b[1]);
  narrow("k", p.k, tn ? a[0] : (nt ? b[1] : b[0]));
  require(p.m <= (tn ? a[1] : a[0]), "gemm: c has {} rows, a is {}", p.m, a);
  require(p.k <= (tn ? b[0] : a[1]), "gemm: k is {}, a is {}, b is {}", p.k, a, b);
  if (p.ldc == 0) p.ldc = c ? u32(c->shape[1]) : p.n;
  require(p.ldc >= p.n, "gemm: ldc is {}, expected at least n = {}", p.ldc, p.n);
  require(uint64_t(p.m) * p.ldc <= UINT32_MAX, "gemm: c ({}, {}), expected fewer than 2^32 elements", p.m, p.ldc);
}

// has_bias, and what goes with it
void infer_bias(const Inputs& in, const TensorDesc& c, abi::Gemm& p) {
  const bool matrix = in.has(2) && in[2].shape.rank() == 2;
  p.has_bias = matrix ? abi::kGemmMatrix : in.has(2) ? 1 : 0;
  if (in.has(2)) in.expect(2, "bias", matrix ? c : TensorDesc{c.dtype, {p.n}});
  require(!matrix || (in[0].dtype != DType::e4m3 && p.accumulate == 0), "gemm: a matrix for a bias with {}{}", in[0],
          p.accumulate ? ", accumulating" : "");
  if (!matrix) p.alpha = p.beta = 0;
}

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::Gemm>();
  const Inputs in("gemm", inputs, p.accumulate ? 6 : 5, p.accumulate ? 6 : 5);
  const bool fp8 = in[0].dtype == DType::e4m3;
  require(p.form <= abi::kGemmTn && (!fp8 || p.form == abi::kGemmNt), "gemm: form {} with {}", p.form, in[0]);
  if (!fp8) in.matrix(0, "a");
  require(in[1].dtype == in[0].dtype && in[0].shape.rank() == 2 && in[1].shape.rank() == 2,
          "gemm: a is {} and b is {}, expected two matrices of one dtype", in[0], in[1]);
  const TensorDesc* c = p.accumulate ? &in.matrix(5, "c") : nullptr;
  infer_sizes(in[0].shape, in[1].shape, c, p);
  const TensorDesc out = {c ? c->dtype : (fp8 ? DType::bf16 : in[0].dtype), {p.m, p.ldc}};
  if (c) in.expect(5, "c", out);
  infer_bias(in, out, p);
  p.has_scales = fp8;
  require(fp8 || p.fast_accumulation == 0, "gemm: fast accumulation with {}", in[0]);
  in.expect(3, "scale_a", fp8 ? f32_desc({1}) : TensorDesc{});
  in.expect(4, "scale_b", fp8 ? f32_desc({1}) : TensorDesc{});
  parameters = Parameters(p);
  return {.outputs = {out},
          .in_place = p.accumulate != 0 ? 1u : 0u,
          .first_output = 0,
          .replaces = p.accumulate == abi::kGemmOntoZeros};
}

// sizes from the shapes
Parameters gemm_parameters(uint32_t form, uint32_t accumulate) {
  abi::Gemm p{};
  p.form = form;
  p.accumulate = accumulate;
  return Parameters(p);
}

// dW += dy^T x
void weight_gradient(Backward& b, const OpNode& n, ValueId dy, const Quantized* q) {
  const ValueId w = n.inputs[1], none;
  if (!b.has_accumulator(w)) return;
  const ValueId g = b.accumulator(w);
  ValueIds out;
  if (q) {
    TANDEM_CHECK(n.saved.size() == 2, "an e4m3 gemm saves the transposes of x and w");
    out = b.emit(n, OpId::gemm, gemm_parameters(abi::kGemmNt, 1), {q->qt, n.saved[0], none, q->scale, n.inputs[3], g});
  } else {
    out = b.emit(n, OpId::gemm, gemm_parameters(abi::kGemmTn, 1), {dy, n.inputs[0], none, none, none, g});
  }
  b.update_accumulator(w, out[0]);
}

// dx = dy W, accumulated onto the one term that there may be
void input_gradient(Backward& b, const OpNode& n, ValueId dy, const Quantized* q) {
  const ValueId x = n.inputs[0], none;
  if (!b.wants_cotangent(x)) return;
  if (q) {
    ValueId wt = n.saved[1];  // a transpose that is not kept is made here
    if (!wt.present()) wt = b.emit(n, OpId::transpose, Parameters(abi::Transpose{}), {n.inputs[1]})[0];
    const ValueIds inputs{q->q, wt, none, q->scale, n.inputs[4]};
    return b.add(x, b.emit(n, OpId::gemm, gemm_parameters(abi::kGemmNt, 0), inputs)[0]);
  }
  ValueIds inputs{dy, n.inputs[1], none, none, none};
  const ValueId term = b.only_term(x);
  if (!term.present()) return b.add(x, b.emit(n, OpId::gemm, gemm_parameters(abi::kGemmNn, 0), inputs)[0]);
  inputs.push_back(term);
  b.update_cotangent(x, b.emit(n, OpId::gemm, gemm_parameters(abi::kGemmNn, 1), inputs)[0]);
}

// y = x W^T + bias + c, c being an adapter's product
void vjp(Backward& b, const OpNode& n) {
  const auto p = n.parameters.as<abi::Gemm>();
  require(p.form == abi::kGemmNt && p.has_bias != abi::kGemmMatrix, "gemm: only the linear form has a gradient");
  const ValueId dy = b.cotangent(n.outputs[0]);
  if (!dy.present()) return;
  if (p.accumulate) b.add(n.inputs[5], dy);
  Quantized quantized;
  const bool trains = b.has_accumulator(n.inputs[1]);
  if (p.has_scales && (trains || b.wants_cotangent(n.inputs[0]))) quantized = b.quantized(n, dy, trains);
  const Quantized* q = p.has_scales ? &quantized : nullptr;
  weight_gradient(b, n, dy, q);
  if (p.has_bias && b.has_accumulator(n.inputs[2])) {
    const auto g = b.emit(n, OpId::bias_gradient, Parameters(abi::BiasGradient{}), {dy, b.accumulator(n.inputs[2])});
    b.update_accumulator(n.inputs[2], g[0]);
  }
  input_gradient(b, n, dy, q);
}

Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::Gemm>();
  return {.flops = 2 * uint64_t(p.m) * p.n * p.k,
          .bytes = bytes_of(operands) + (p.accumulate == 1 ? operands.back().bytes() : 0),
          .product = {p.m, p.n, p.k}};
}

// Columns that pad c would be left as they are.
std::optional<Parameters> onto_zeros(const Parameters& parameters) {
  auto p = parameters.as<abi::Gemm>();
  if (p.accumulate != 1 || p.n != p.ldc) return {};
  p.accumulate = abi::kGemmOntoZeros;
  return Parameters(p);
}

Budget budget(const Parameters& parameters, Operands operands, size_t) {
  if (parameters.as<abi::Gemm>().fast_accumulation) return Budget::fast_gemm;
  return operands[0].dtype == DType::e4m3 ? Budget::fp8_gemm : Budget::sums;
}

// n of ldc columns: the others pad rows of c
Defined true_columns(const Parameters& parameters, Operands, size_t) {
  const auto p = parameters.as<abi::Gemm>();
  return {p.n, p.ldc};
}

}  // namespace

const Op gemm{.infer = infer,
              .vjp = vjp,
              .cost = cost,
              .cost_class = CostClass::product,
              .library = true,
              .budget = budget,
              .defined = true_columns,
              .onto_zeros = onto_zeros};

}  // namespace tandem::ops
