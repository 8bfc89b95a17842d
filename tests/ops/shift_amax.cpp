// Reference: the formula in core/abi/shift_amax.h.
#include "core/abi/shift_amax.h"

#include "core/abi/amax.h"
#include "core/abi/numeric.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

// A fourth of the way by bits; at once from 0 and over more than two exponents; left where nothing finite was seen.
uint32_t expected_guess(int64_t guess, int64_t seen) {
  if (seen == 0 || seen >= 0x7f800000) return uint32_t(guess);
  if (guess == 0 || std::abs(seen - guess) > 0x1000000) return uint32_t(seen);
  return uint32_t(guess + (seen - guess) / 4);
}

void reference(const abi::ShiftAmax& p, Operands o) {
  for (uint64_t slot = 0; slot < p.slots; ++slot) {
    const uint32_t largest = o[0].u32(slot * 64), guess = o[0].u32(slot * 64 + 1);
    if (slot >= p.slots - p.guesses && largest != 0) {
      o[1].set_bits(0, o[1].u32(0) + 1);
      const bool right = abi::is_poisoned(largest) == abi::is_poisoned(guess) &&
                         abi::scale_exponent(largest) == abi::scale_exponent(guess);
      o[1].set_bits(1, o[1].u32(1) + (right ? 0 : 1));
    }
    o[0].set_bits(slot * 64 + 1, expected_guess(guess, largest));
    o[0].set_bits(slot * 64, 0);
  }
}

void cases(Cases& cases) {
  const auto add = [&](uint64_t slots, uint32_t guesses, Filler words_of_slots) {
    cases.add(fmt::format("{} slots, {} guesses", slots, guesses), abi::ShiftAmax{.guesses = guesses},
              {in(DType::u32, {slots * abi::kAmaxWords}, words_of_slots), in(DType::u32, {2}, words({7, 2}))});
  };
  for (uint32_t slots : {1, 5, 300})
    for (uint32_t guesses : {0u, 1u, slots}) add(slots, guesses, codes());
  // right, wrong by a scale, right within a scale, nothing written, poisoned as guessed, poisoned and not guessed
  const std::pair<float, float> pairs[] = {{1, 1}, {1, 2}, {1, 1.5f}, {0, 3},    {NAN, INFINITY}, {NAN, 1},
                                           {1, 0}, {4, 1}, {4.5f, 1}, {1, 4.5f}, {3, 1},          {1, NAN}};
  std::vector<std::pair<uint64_t, double>> filled;
  for (uint64_t slot = 0; slot < std::size(pairs); ++slot)
    for (uint64_t word : {0, 1})
      filled.emplace_back(slot * abi::kAmaxWords + word,
                          abi::float_bits(word == 0 ? pairs[slot].first : pairs[slot].second));
  add(std::size(pairs), std::size(pairs), put(zeros(), filled));
}

}  // namespace

OP_CASES(shift_amax, abi::ShiftAmax)

}  // namespace tandem::test
