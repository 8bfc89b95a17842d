// The operand `update` of ops that update parameters (abi UpdateScalars).
#pragma once

#include "tests/support/op_case.h"

namespace tandem::test {

inline Input update_words(uint32_t skipped, double coefficient = 0.5, uint32_t rank = 0, uint32_t updates = 12) {
  return in(DType::u32, {16},
            words({abi::float_bits(1e-3f), abi::float_bits(float(coefficient)), abi::float_bits(0.271f),
                   abi::float_bits(0.3776f), skipped, 11, 0xdeadbeefu, 0x01234567u, rank, updates}));
}

}  // namespace tandem::test
