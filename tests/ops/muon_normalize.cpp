// Reference: division by the norm in f64, rounded once.
#include "core/abi/muon_normalize.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::MuonNormalize& p, Operands o) {
  double sum = 0;
  for (uint64_t i = 0; i < p.partials; ++i) sum += o[0].get(i);
  const double norm = std::sqrt(sum);
  for (uint64_t i = 0; i < p.count; ++i) o[1].set(i, o[1].get(i) / (norm < 1e-7 ? 1e-7 : norm));
}

Filler squares() {
  return [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, std::pow(random.normal(), 2));
  };
}

void cases(Cases& cases) {
  const abi::MuonNormalize p{};
  for (DType dtype : kFloats) {
    for (Shape shape : {Shape{8}, Shape{24, 40}, Shape{1003, 72}, Shape{12, 13}})
      for (uint64_t partials : {64, 192})
        cases.add(fmt::format("{} {} by {}", name_of(dtype), shape, partials), p,
                  {in(DType::f32, {partials}, squares()), in(dtype, shape)});
    const auto add = [&](const char* what, double partial, double value) {
      cases.add(fmt::format("{} {}", name_of(dtype), what), p,
                {in(DType::f32, {64}, put(zeros(), {{0, partial}})), in(dtype, {40}, constant(value))});
    };
    add("zeros", 0, 0);
    add("below 1e-7", 1e-16, 1e-9);
    add("not a number", double(NAN), 1);
    add("infinite", double(INFINITY), 1);
  }
}

}  // namespace

OP_CASES(muon_normalize, abi::MuonNormalize)

}  // namespace tandem::test
