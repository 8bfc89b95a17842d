// Segments: the stored tensors that a parameter stacks, and where in it an operand begins; by these, stores find their
// random bits. All is counted in blocks of 4 elements, which take the 4 words of one Philox block, so that 32 bits
// count wholes of 2^34 elements. Block b of the operand is block first_block + b of the whole parameter, with
// first_block = first + rank * rank_stride. There segment i starts at block begin[i] and is the stored tensor number
// tensor[i]. A block's random words are those of philox(seed; block, tensor, step, stream), counted in its tensor.
#ifndef TANDEM_ABI_SEGMENTS_H
#define TANDEM_ABI_SEGMENTS_H
#include "core/abi/numeric.h"
TANDEM_ABI_BEGIN

struct Segments {
  uint32_t first, rank_stride;
  uint32_t count;     // 1 to 4
  uint32_t begin[4];  // ascending from 0
  uint32_t tensor[4];
};

struct StoredBlock {
  uint32_t block, tensor;
};

// The segment that a block of the whole lies in.
TANDEM_FN uint32_t segment_of(Segments s, uint32_t block) {
  uint32_t segment = 0u;
  for (uint32_t i = 1u; i < 4u; ++i) {
    if (i < s.count && block >= s.begin[i]) segment = i;
  }
  return segment;
}

// rank: a word of memory, as the parameters are the same on every rank
TANDEM_FN uint32_t first_block(Segments s, uint32_t rank) {
  return s.first + rank * s.rank_stride;
}

// A block of the whole, counted in its stored tensor.
TANDEM_FN StoredBlock stored_block(Segments s, uint32_t block) {
  StoredBlock stored;
  stored.block = block;
  stored.tensor = s.tensor[0];
  for (uint32_t i = 1u; i < 4u; ++i) {
    if (i < s.count && block >= s.begin[i]) {
      stored.block = block - s.begin[i];
      stored.tensor = s.tensor[i];
    }
  }
  return stored;
}

TANDEM_ABI_END(Segments)
#endif
