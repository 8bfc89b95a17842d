// What the core knows of an op: a row of the op table. Formula, operands and parameters stand in core/abi/<op>.h.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/base/shape.h"
#include "core/ops/parameters.h"

namespace tandem {

class Backward;
struct OpNode;
struct ValueId {
  uint32_t index = UINT32_MAX;
  bool present() const { return index != UINT32_MAX; }
  bool operator==(const ValueId&) const = default;
};

enum class OpId : uint16_t {
#define OP(name) name,
#include "core/ops/table.inc"
#undef OP
};
constexpr size_t kOpCount = 0
#define OP(name) +1
#include "core/ops/table.inc"
#undef OP
    ;
constexpr OpId kNoOp = OpId(kOpCount);

using Descs = std::vector<TensorDesc>;

// Inputs stand in operand order; an absent optional operand has dtype none. An input that an output overwrites in place
// is the LAST of the inputs (several: the last ones, in the order of their outputs).
struct Signature {
  Descs outputs;              // absent optional outputs have dtype none
  uint32_t in_place = 0;      // how many trailing inputs are overwritten ...
  uint32_t first_output = 0;  // ... by outputs first_output, first_output + 1, ...
};

// flops and bytes moved, for the cost model; workspace: bytes of scratch that the op's CUDA kernel wants
struct Cost {
  uint64_t flops = 0;
  uint64_t bytes = 0;
  uint64_t workspace = 0;
};

struct Op {
  // checks inputs and fills in the parameters' sizes (rows, columns, ...) from them; the caller sets the rest (epsilon,
  // has_x, ...)
  Signature (*infer)(std::span<const TensorDesc> inputs, Parameters& parameters);
  // emits the gradient; null where none exists. See core/ops/vjp.h
  void (*vjp)(Backward& b, const OpNode& n) = nullptr;
  // operands: as in a Dispatch (inputs that are not overwritten, then outputs)
  Cost (*cost)(const Parameters& parameters, std::span<const TensorDesc> operands);
};

namespace ops {
#define OP(name) extern const Op name;  // core/ops/<name>.cpp
#include "core/ops/table.inc"
#undef OP
}  // namespace ops

const Op& op_of(OpId id);  // Exit::internal for kNoOp
std::string_view name_of(OpId id);

// for infer: Exit::internal error naming the op
template <typename... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(Exit::internal, "op", format, std::forward<Args>(args)...);
}

uint64_t bytes_of(std::span<const TensorDesc> descs);  // sum of bytes

}  // namespace tandem
