// Reference: f64 sums over k, bias and old c added, or a matrix beside it, rounded once.
#include "core/abi/gemm.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::Gemm& p, Operands o) {
  const Tensor &a = o[0], &b = o[1], &bias = o[2];
  Tensor& c = o[5];
  const double scale = p.has_scales ? o[3].get(0) * o[4].get(0) : 1;
  for (uint64_t i = 0; i < p.m; ++i)
    for (uint64_t j = 0; j < p.n; ++j) {
      double sum = 0;
      for (uint64_t l = 0; l < p.k; ++l)
        sum += a.get(p.form == abi::kGemmTn ? l * p.lda + i : i * p.lda + l) *
               b.get(p.form == abi::kGemmNt ? j * p.ldb + l : l * p.ldb + j);
      sum *= scale;
      if (p.has_bias == abi::kGemmMatrix) sum = p.alpha * sum + p.beta * bias.get(i * p.ldc + j);
      else if (p.has_bias) sum += bias.get(j);
      if (p.accumulate == 1) sum += c.get(i * p.ldc + j);
      c.set(i * p.ldc + j, sum);
    }
}

abi::Gemm parameters(uint32_t form, uint32_t accumulate = 0) {
  abi::Gemm p{};
  p.form = form;
  p.accumulate = accumulate;
  return p;
}

struct Size {
  uint64_t m, n, k;
};

Shape shape_a(uint32_t form, Size s) {
  return form == abi::kGemmTn ? Shape{s.k, s.m} : Shape{s.m, s.k};
}
Shape shape_b(uint32_t form, Size s) {
  return form == abi::kGemmNt ? Shape{s.n, s.k} : Shape{s.k, s.n};
}

void float_cases(Cases& cases, DType dtype) {
  const char* const names[] = {"nt", "nn", "tn"};
  for (uint32_t form : {abi::kGemmNt, abi::kGemmNn, abi::kGemmTn})
    for (Size s : {Size{8, 8, 8}, Size{1, 64, 32}, Size{37, 48, 80}, Size{136, 72, 128}, Size{64, 128, 200}}) {
      if (form == abi::kGemmTn) s.m = (s.m + 7) / 8 * 8;  // m is a width there, and k counts tokens
      if (form == abi::kGemmTn && s.k == 80) s.k = 77;
      const std::string name = fmt::format("{} {} {}x{}x{}", names[form], name_of(dtype), s.m, s.n, s.k);
      const Input a = in(dtype, shape_a(form, s)), b = in(dtype, shape_b(form, s));
      cases.add(name, parameters(form), {a, b, absent(), absent(), absent()});
      for (DType gradient : {DType::f32, DType::bf16})
        if (dtype == DType::bf16 || gradient == DType::f32) {
          cases.add(fmt::format("{} += into {}", name, name_of(gradient)), parameters(form, 1),
                    {a, b, absent(), absent(), absent(), in(gradient, {s.m, s.n})});
          cases.add(fmt::format("{} onto zeros in {}", name, name_of(gradient)), parameters(form, abi::kGemmOntoZeros),
                    {a, b, absent(), absent(), absent(), in(gradient, {s.m, s.n}, constant(NAN))});
        }
      if (form == abi::kGemmNt)
        cases.add(name + " bias", parameters(form), {a, b, in(dtype, {s.n}), absent(), absent()});
    }
}

// logits of an odd vocabulary: 257 columns in rows of 272, and what the gradient makes of them
void padded_cases(Cases& cases, DType dtype) {
  abi::Gemm logits = parameters(abi::kGemmNt);
  logits.ldc = 272;
  cases.add(fmt::format("logits {} 257 in 272", name_of(dtype)), logits,
            {in(dtype, {19, 64}), in(dtype, {257, 64}), absent(), absent(), absent()});
  cases.add(fmt::format("dx of logits {} 257 in 272", name_of(dtype)), parameters(abi::kGemmNn),
            {in(dtype, {19, 272}), in(dtype, {257, 64}), absent(), absent(), absent()});
  cases.add(fmt::format("dW of logits {} 257 in 272", name_of(dtype)), parameters(abi::kGemmTn, 1),
            {in(dtype, {19, 272}), in(dtype, {19, 64}), absent(), absent(), absent(), in(DType::f32, {257, 64})});
}

// lines that start at no 16 bytes, more columns than a tile has, and a row of a padded operand
void unaligned_cases(Cases& cases, DType dtype) {
  const char* const names[] = {"nt", "nn", "tn"};
  for (uint32_t form : {abi::kGemmNt, abi::kGemmNn, abi::kGemmTn})
    for (Size s : {Size{13, 11, 17}, Size{5, 261, 43}, Size{1, 11, 17}})
      cases.add(fmt::format("{} {} {}x{}x{} unaligned", names[form], name_of(dtype), s.m, s.n, s.k),
                parameters(form, 1),
                {in(dtype, shape_a(form, s)), in(dtype, shape_b(form, s)), in(dtype, {s.n}), absent(), absent(),
                 in(dtype, {s.m, s.n})});
  abi::Gemm narrow = parameters(abi::kGemmNt);
  narrow.k = 301;
  cases.add(fmt::format("nt {} 1x24x301 of 304", name_of(dtype)), narrow,
            {in(dtype, {1, 304}), in(dtype, {24, 304}), in(dtype, {24}), absent(), absent()});
}

void odd_cases(Cases& cases, DType dtype) {
  const std::vector<std::pair<const char*, Filler>> fills = {
      {"zeros", zeros()},
      {"NaN", put(normal(), {{70, NAN}})},
      {"inf", put(normal(), {{70, INFINITY}})},
      {"huge", put(normal(), {{70, 1e30}})},
      {"subnormal", constant(1e-40)},
  };
  for (const auto& [what, fill] : fills)
    cases.add(fmt::format("{} {}", what, name_of(dtype)), parameters(abi::kGemmNt),
              {in(dtype, {20, 32}, fill), in(dtype, {24, 32}), absent(), absent(), absent()});
}

// alpha A B + beta D: alpha, beta and sizes as Muon has them, one row, and lines that start at no 16 bytes
void matrix_cases(Cases& cases, DType dtype) {
  const char* const names[] = {"nt", "nn", "tn"};
  for (uint32_t form : {abi::kGemmNt, abi::kGemmNn, abi::kGemmTn})
    for (Size s : {Size{64, 64, 64}, Size{24, 136, 24}, Size{1, 40, 16}, Size{130, 72, 72}, Size{13, 11, 17}}) {
      abi::Gemm p = parameters(form);
      p.alpha = s.n == s.k ? 2.0315f : 1.0f;
      p.beta = s.n == s.k ? -4.775f : 3.4445f;
      cases.add(fmt::format("{} {} {}x{}x{} beside a matrix", names[form], name_of(dtype), s.m, s.n, s.k), p,
                {in(dtype, shape_a(form, s)), in(dtype, shape_b(form, s)), in(dtype, {s.m, s.n}), absent(), absent()});
    }
}

void fp8_cases(Cases& cases) {
  const Input scale_a = in(DType::f32, {1}, constant(0.25)), scale_b = in(DType::f32, {1}, constant(0x1p-20));
  for (Size s : {Size{16, 16, 16}, Size{48, 80, 64}, Size{64, 48, 208}}) {
    const std::string name = fmt::format("nt e4m3 {}x{}x{}", s.m, s.n, s.k);
    const Input a = in(DType::e4m3, {s.m, s.k}, codes()), b = in(DType::e4m3, {s.n, s.k}, codes());
    cases.add(name, parameters(abi::kGemmNt), {a, b, absent(), scale_a, scale_b});
    cases.add(name + " bias", parameters(abi::kGemmNt), {a, b, in(DType::bf16, {s.n}), scale_a, scale_b});
    abi::Gemm fast = parameters(abi::kGemmNt);
    fast.fast_accumulation = 1;
    cases.add(name + " fast accumulation", fast, {a, b, absent(), scale_a, scale_b});
    for (DType gradient : kFloats) {
      cases.add(fmt::format("{} += into {}", name, name_of(gradient)), parameters(abi::kGemmNt, 1),
                {a, b, absent(), scale_a, scale_b, in(gradient, {s.m, s.n})});
      cases.add(fmt::format("{} onto zeros in {}", name, name_of(gradient)),
                parameters(abi::kGemmNt, abi::kGemmOntoZeros),
                {a, b, absent(), scale_a, scale_b, in(gradient, {s.m, s.n}, constant(NAN))});
    }
  }
  cases.add("nt e4m3 7x133x45 unaligned", parameters(abi::kGemmNt),
            {in(DType::e4m3, {7, 45}, codes()), in(DType::e4m3, {133, 45}, codes()), absent(), scale_a, scale_b});
  const Filler poisoned = words(std::vector<uint32_t>(256, 0x7f));
  cases.add("e4m3 poisoned", parameters(abi::kGemmNt),
            {in(DType::e4m3, {16, 16}, poisoned), in(DType::e4m3, {16, 16}, codes()), absent(),
             in(DType::f32, {1}, constant(NAN)), scale_b});
}

void cases(Cases& cases) {
  for (DType dtype : kFloats) {
    float_cases(cases, dtype);
    padded_cases(cases, dtype);
    unaligned_cases(cases, dtype);
    odd_cases(cases, dtype);
    matrix_cases(cases, dtype);
  }
  fp8_cases(cases);
}

}  // namespace

OP_CASES(gemm, abi::Gemm)

#if defined(TANDEM_VULKAN) && !defined(TANDEM_REFERENCES_ONLY)
namespace {

// Sums so deep that packed operands would exceed software Vulkan's scratch. Of integers, so that no order rounds.
void deep_cases(Cases& cases) {
  const uint64_t depth = 65541, padded = 65544;
  for (DType dtype : kFloats) {
    const auto whole = [dtype](uint64_t rows, uint64_t columns) { return in(dtype, {rows, columns}, integers(-8, 9)); };
    const auto add = [&](std::string_view form, const abi::Gemm& p, const Input& a, const Input& b) {
      cases.add(fmt::format("deep {} {}", form, name_of(dtype)), p, {a, b, absent(), absent(), absent()});
    };
    add("nt", parameters(abi::kGemmNt), whole(8, padded), whole(16, padded));
    add("nn", parameters(abi::kGemmNn), whole(8, padded), whole(depth, 16));
    add("tn", parameters(abi::kGemmTn), whole(depth, 8), whole(depth, 16));
  }
  const Input a = in(DType::e4m3, {8, 131080}, codes()), b = in(DType::e4m3, {16, 131080}, codes());
  const Input scale = in(DType::f32, {1}, constant(0.25));
  cases.add("deep nt e4m3", parameters(abi::kGemmNt), {a, b, absent(), scale, scale});
}

TEST_CASE("op gemm, deep sums, on vulkan") {
  run_cases(OpId::gemm, deep_cases, "vulkan");
}

}  // namespace
#endif

}  // namespace tandem::test
