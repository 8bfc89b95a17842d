// What a rank does with what it got from others.
#pragma once

#include "core/abi/rank_sum.h"
#include "core/graph/graph.h"

namespace tandem {

struct StepWords {
  ValueId scalars;  // (16) u32, abi StepScalars
  ValueId counter;  // (16) i32, as the range has it
};

// Adds the parts of all ranks, (R, ...) as an exchange leaves them, to g or puts their sum there; see abi/rank_sum.h.
ValueId sum_of_ranks(Graph& graph, Range range, ValueId parts, const StepWords& words, ValueId g,
                     const abi::RankSum& how, const Label& label);

// e4m3 codes (rows, columns) -> (columns, rows)
ValueId transpose(Graph& graph, Range range, ValueId codes, const Label& label);

}  // namespace tandem
