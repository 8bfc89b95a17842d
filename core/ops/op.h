// What the core knows of an op: a row of the op table. Formula, operands and parameters stand in core/abi/<op>.h.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/inline_vector.h"
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
using ValueIds = InlineVector<ValueId, 6>;  // as many as most nodes have

enum class OpId : uint16_t {
#define OP(name) name,
#include "core/ops/table.inc"
#undef OP
};
constexpr OpId kEachOp[] = {
#define OP(name) OpId::name,
#include "core/ops/table.inc"
#undef OP
};
constexpr size_t kOpCount = std::size(kEachOp);
constexpr OpId kNoOp = OpId(kOpCount);

using Descs = std::vector<TensorDesc>;
// In the order of a Dispatch: inputs that are not overwritten, then outputs. Absent ones have dtype none.
using Operands = std::span<const TensorDesc>;

// Some of an op's outputs, by position.
struct Outputs {
  uint32_t bits = 0;
  bool operator[](size_t i) const { return (bits >> i & 1) != 0; }
  void insert(size_t i) { bits |= 1u << i; }
  bool operator==(const Outputs&) const = default;
};

// Inputs stand in operand order; an absent optional operand has dtype none. An input that an output overwrites in place
// is the LAST of the inputs (several: the last ones, in the order of their outputs).
struct Signature {
  Descs outputs;              // absent optional outputs have dtype none
  uint32_t in_place = 0;      // how many trailing inputs are overwritten ...
  uint32_t first_output = 0;  // ... by outputs first_output, first_output + 1, ...
  bool replaces = false;      // these take nothing from what they overwrite
};

// What a dispatch does, for the cost model.
struct Cost {
  uint64_t flops = 0;
  uint64_t bytes = 0;      // moved
  uint64_t workspace = 0;  // bytes of scratch that the op's CUDA kernel wants: Target::workspace
  struct Product {
    uint32_t m = 0, n = 0, k = 0;
  } product;              // for CostClass::product
  uint32_t head_dim = 0;  // for both of attention
};

// Whose rate a dispatch runs at.
enum class CostClass : uint8_t {
  memory,   // passes over memory: norms, SwiGLU, RoPE, quantize, cross entropy, ...
  product,  // products of matrices, at the rate of operand 0's dtype
  attention,
  attention_backward,
  gradient_norm,
  optimizer,
};

// How what an op wrote is compared with what a reference wrote; docs/numerics.md has the figures.
enum class Budget : uint8_t {
  exact,  // bit-equal; any NaN equals any NaN
  scale,  // a power of two: exact from equal operands; rounding elsewhere may move it by a whole step
  codes,  // e4m3 codes of what an op made within elementwise: at most 0.1% (and four) differ, each by one step; a NaN's
          // sign is its maker's
  elementwise,  // f32: NMSE 1e-12
  sums,         // f32: NMSE 1e-10
  fp8_gemm,     // NMSE 1e-6, bf16 stores 5e-6: tensor cores keep fewer bits of a sum of e4m3 products than f32 has
  fast_gemm,    // NMSE 1e-4: and still fewer, with fast accumulation
  attention,    // bf16 (P and dS may be bf16 inside): NMSE 3e-5; f32 as sums
  words,        // u32 that hold integers or floats by their bits: equal, or within 4 ulp as floats
  amax,         // u32 that hold bits of the largest bf16 or f32 that an op within a budget wrote: within 1%
};

template <Budget B>
Budget always(const Parameters&, Operands, size_t) {
  return B;
}
// B, but for the amax words that the op updates beside
template <Budget B>
Budget with_amax(const Parameters&, Operands operands, size_t i) {
  return operands[i].dtype == DType::u32 ? Budget::amax : B;
}

// The elements that mean something: element i does when i % period < width. period 0: all.
struct Defined {
  uint64_t width = 0, period = 0;
  bool operator()(uint64_t i) const { return period == 0 || i % period < width; }
};
inline Defined everything(const Parameters&, Operands, size_t) {
  return {};
}

// How an op is cut into parts over axis 0, each with a slice of every input but those that all parts read whole.
enum class SplitBy : uint8_t { none, rows, sequences };
inline Parameters unchanged(const Parameters& parameters, Operands, uint32_t, uint32_t) {
  return parameters;
}
struct Split {
  SplitBy by = SplitBy::none;  // rows: MemoryPolicy::optimizer_chunk; sequences: attention_chunks
  uint32_t whole = 0;          // bit i: each part reads all of input i
  // equal parts of axis 0 that are never cut: a parameter's rows, a batch's sequences
  uint32_t (*units)(const Parameters&, Operands) = nullptr;
  // parameters of the part that has units first .. first + count - 1; infer sets sizes anew
  Parameters (*part)(const Parameters&, Operands, uint32_t first, uint32_t count) = unchanged;
};

// What becomes of an output where each rank does the op on its own rows of a matrix.
enum class OnRows : uint8_t {
  none,     // The op is not done by rows.
  rows,     // Those rows of it.
  columns,  // Those columns: it is made of all rows of the output before instead, as its transpose.
  maximum,  // u32 words whose maximum over ranks stands for all rows.
  same,     // The same on every rank.
};

// A node that makes outputs of another one once more.
struct Clone {
  Parameters parameters;
  ValueIds inputs;  // the other's inputs, or outputs of it that are kept
};
Clone again(const OpNode& node, Outputs wanted, Outputs kept);  // the same parameters and inputs

// What passes, planner, verifier and backends ask; they know no op by name.
struct Op {
  // checks inputs and fills in the parameters' sizes (rows, columns, ...) from them; the caller sets the rest (epsilon,
  // has_x, ...)
  Signature (*infer)(Operands inputs, Parameters& parameters);
  // emits the gradient; null where none exists. See core/ops/vjp.h
  void (*vjp)(Backward& b, const OpNode& n) = nullptr;
  Cost (*cost)(const Parameters& parameters, Operands operands);
  CostClass cost_class = CostClass::memory;
  bool library = false;  // a backend may plan it with a library when it loads a Program
  // how operand i, which the op writes, is compared, and which of its elements mean something
  Budget (*budget)(const Parameters& parameters, Operands operands, size_t i) = always<Budget::sums>;
  Defined (*defined)(const Parameters& parameters, Operands operands, size_t i) = everything;
  Split split;
  OnRows (*on_rows)(size_t output) = [](size_t) { return OnRows::none; };
  // parameters for own rows, of so many elements per rank; null: they know of no place in the whole
  Parameters (*by_rank)(const Parameters& parameters, uint64_t elements) = nullptr;
  // parameters that make of the optional outputs only those wanted; null: the op has none
  Parameters (*only)(const Parameters& parameters, Outputs wanted) = nullptr;
  // parameters that overwrite what the node would add to, with the bits that zeros there would give, but for a zero's
  // sign; nullopt: it leaves columns that pad a row as they are; null: it adds to nothing, or cannot
  std::optional<Parameters> (*onto_zeros)(const Parameters& parameters) = nullptr;
  // the node that makes the outputs wanted once more, where the first one's outputs kept are still there
  Clone (*clone)(const OpNode& node, Outputs wanted, Outputs kept) = again;
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

uint64_t bytes_of(Operands descs);  // sum of bytes

}  // namespace tandem
