// Reference: the definition in core/abi/random_signs.h, element by element. tests/golden/projected.cpp holds the signs
// against those that NumPy makes.
#include "core/abi/random_signs.h"

#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void reference(const abi::RandomSigns& p, Operands o) {
  const Tensor& update = o[0];
  const uint32_t updates = update.u32(9), turn = (updates == 0 ? 0 : updates - 1) / p.every;
  for (uint64_t row = 0; row < p.rank; ++row)
    for (uint64_t column = 0; column < p.size; ++column) {
      const uint64_t e = row * p.size + column;
      const abi::PhiloxWords w = abi::philox(update.u32(6), update.u32(7), uint32_t(e / 4), p.tensor, turn, 5);
      const double sign = w.word[e % 4] % 2 == 1 ? -1 : 1;
      o[1].set(p.transposed ? column * p.rank + row : e, column < p.true_size ? sign : 0);
    }
}

void cases(Cases& cases) {
  for (const bool wide : {true, false})
    for (const bool transposed : {false, true}) {
      const auto add = [&](uint32_t rank, uint32_t size, uint32_t true_size, uint32_t updates) {
        const abi::RandomSigns p{.rank = rank,
                                 .size = size,
                                 .true_size = true_size,
                                 .tensor = 7,
                                 .every = 5,
                                 .transposed = transposed,
                                 .wide = wide};
        cases.add(fmt::format("{}{} ({}, {}), {} true, {} updates", wide ? "f32" : "bf16",
                              transposed ? " transposed" : "", rank, size, true_size, updates),
                  p, {update_words(0, 0.5, 0, updates)});
      };
      for (const uint32_t updates : {0u, 1u, 5u, 6u, 1000u}) add(8, 24, 24, updates);
      add(1, 13, 13, 3);
      add(5, 176, 173, 3);
      add(256, 896, 896, 3);
    }
}

}  // namespace

OP_CASES(random_signs, abi::RandomSigns)

}  // namespace tandem::test
