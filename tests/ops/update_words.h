// The operand `update` of ops that update parameters (abi UpdateScalars).
#pragma once

#include "core/abi/segments.h"
#include "core/abi/step_scalars.h"
#include "tests/support/op_case.h"

namespace tandem::test {

// What an update of a parameter is tried with.
struct UpdateTypes {
  DType p, gradient;
  bool master;

  std::string text() const {
    return fmt::format("p {} g {}{}", name_of(p), name_of(gradient), master ? " master" : "");
  }
};
constexpr UpdateTypes kUpdateTypes[] = {{DType::f32, DType::f32, false},
                                        {DType::bf16, DType::bf16, false},
                                        {DType::bf16, DType::bf16, true},
                                        {DType::bf16, DType::f32, false},
                                        {DType::bf16, DType::f32, true}};

inline Input update_words(uint32_t skipped, double coefficient = 0.5, uint32_t rank = 0, uint32_t updates = 12) {
  return in(DType::u32, {16},
            words({abi::float_bits(1e-3f), abi::float_bits(float(coefficient)), abi::float_bits(0.271f),
                   abi::float_bits(0.3776f), skipped, 11, 0xdeadbeefu, 0x01234567u, rank, updates}));
}

// The same for each of so many segments: coefficients 0.5, 0.25, ...; those whose bit of skipped is set are skipped.
inline Input update_words_of_segments(uint32_t segments, uint32_t skipped, uint32_t rank = 0) {
  const Filler fill = [=](Tensor& x, Random&) {
    for (uint32_t s = 0; s < segments; ++s) {
      const uint32_t words[] = {abi::float_bits(1e-3f),
                                abi::float_bits(std::ldexp(1.0f, -1 - int(s))),
                                abi::float_bits(0.271f),
                                abi::float_bits(0.3776f),
                                skipped >> s & 1,
                                11,
                                0xdeadbeefu,
                                0x01234567u,
                                rank,
                                12 + s};
      for (uint32_t i = 0; i < std::size(words); ++i) x.set_bits(s * abi::kTensorWords + i, words[i]);
    }
  };
  return in(DType::u32, {segments, abi::kTensorWords}, fill);
}

// The words of an update that hold for element i of its operands: those of its segment where each has its own.
class WordsOfUpdate {
 public:
  WordsOfUpdate(const Tensor& update, const abi::Segments& segments, uint32_t by_segment, uint64_t i)
      : update_(update),
        first_(by_segment ? abi::kTensorWords *
                                abi::segment_of(segments, abi::first_block(segments, update.u32(8)) + uint32_t(i / 4))
                          : 0) {}
  uint32_t u32(uint64_t word) const { return update_.u32(first_ + word); }
  double number(uint64_t word) const { return double(update_.word_as_float(first_ + word)); }
  bool skipped() const { return u32(4) != 0; }

 private:
  const Tensor& update_;
  uint64_t first_;
};

}  // namespace tandem::test
