// The order of an epoch's windows.
#pragma once

#include <cstdint>

namespace tandem {

// The window that stands at index i < count of an epoch: a permutation of 0 .. count-1 in O(1) memory. A Feistel
// network of 8 rounds on the least even number of bits, 2h, that holds count-1: with i = left*2^h + right, round j =
// 0..7 makes (left, right) into (right, left xor (f mod 2^h)), f = word 0 of Philox4x32-10 with key = seed and counter
// = (right, j, epoch low, epoch high). It is repeated on its result until that is below count.
uint64_t permuted_window(uint64_t i, uint64_t count, uint64_t seed, uint64_t epoch);

}  // namespace tandem
