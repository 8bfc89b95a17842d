// Reference: docs/numerics.md by the letter. The momentum in f32 operations, codes as adamw_8bit's.
#include "core/abi/muon_momentum_8bit.h"

#include "tests/ops/code_reference.h"
#include "tests/ops/random_word.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

// columns first ... first + count - 1 of a row of the stored tensor, which are block `block` of m_scale
void update_block(const abi::MuonMomentum8bit& p, Operands o, uint64_t block, uint64_t first, uint64_t count) {
  const Tensor &gradient = o[0], &update = o[1];
  Tensor &u = o[2], &m = o[3], &m_scale = o[4];
  const RandomKey key{update.u32(6), update.u32(7), update.u32(5), 0};
  const abi::Segments whole{.count = 1, .tensor = {p.tensor}};
  const double unit = std::ldexp(1.0, 127 - int(m_scale.bits(block)));
  const uint64_t behind = uint64_t(p.first_row) * p.columns;
  std::vector<float> next;
  double amax = 0;
  for (uint64_t i = first; i < first + count; ++i) {
    const float g = float(gradient.get(behind + i)) * update.word_as_float(1);
    next.push_back(moment_of(p.momentum, p.one_minus_momentum, float(m.get(behind + i) * unit), g));
    u.set(i, double(p.nesterov ? moment_of(p.momentum, p.one_minus_momentum, next.back(), g) : next.back()));
    amax = std::max(amax, std::abs(double(next.back())));
  }
  if (update.u32(4)) return;
  const int k = exponent_of_scale(kFirst, amax);
  m_scale.set_bits(block, uint32_t(k + 127));
  for (uint64_t i = first; i < first + count; ++i)
    m.set_bits(behind + i, code_of(kFirst, double(next[i - first]), k, random_word(whole, key, i, 1)));
}

void reference(const abi::MuonMomentum8bit& p, Operands o) {
  const uint64_t blocks = (p.columns + kBlock - 1) / kBlock;
  for (uint64_t row = 0; row < p.rows; ++row)
    for (uint64_t j = 0; j < blocks; ++j)
      update_block(p, o, (p.first_row + row) * blocks + j, row * p.columns + j * kBlock,
                   std::min<uint64_t>(kBlock, p.columns - j * kBlock));
}

void cases(Cases& cases) {
  for (const DType gradient : kFloats)
    for (const uint32_t nesterov : {1u, 0u}) {
      const auto add = [&](const char* what, Shape whole, uint32_t first_row, uint32_t rows, Filler filler,
                           Filler scales, uint32_t skipped = 0) {
        const abi::MuonMomentum8bit p{.first_row = first_row,
                                      .tensor = 7,
                                      .rows = rows,
                                      .momentum = 0.95f,
                                      .one_minus_momentum = 0.05f,
                                      .nesterov = nesterov};
        cases.add(fmt::format("g {} {}{} {}", name_of(gradient), what, nesterov ? " nesterov" : "", whole), p,
                  {in(gradient, whole, filler), update_words(skipped), in(DType::e4m3, whole, codes()),
                   in(DType::u8, {whole[0], (whole[1] + kBlock - 1) / kBlock}, scales)});
      };
      const Filler ordinary = integers(127 + 8, 127 + 14);
      for (const Shape& shape : {Shape{1, 8}, Shape{5, 24}, Shape{3, 128}, Shape{37, 136}, Shape{2, 3584}})
        add("ordinary", shape, 0, uint32_t(shape[0]), normal(), ordinary);
      add("hostile", {3, 1304}, 0, 3, hostile(), ordinary);
      add("largest", {2, 136}, 0, 2, normal(0x1p50), constant(127 - 63));
      add("least", {2, 136}, 0, 2, normal(0x1p-60), constant(127 + 63));
      add("skipped", {2, 136}, 0, 2, put(normal(), {{3, double(NAN)}}), ordinary, 1);
      add("a part", {31, 20}, 3, 24, normal(), ordinary);
      add("a part", {11, 4}, 3, 7, normal(), ordinary);
    }
}

}  // namespace

OP_CASES(muon_momentum_8bit, abi::MuonMomentum8bit)

}  // namespace tandem::test
