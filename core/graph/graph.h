// The graph of a step: values in SSA form and nodes in order, for the forward pass, its gradient and the optimizer.
#pragma once

#include <utility>

#include "core/abi/segments.h"
#include "core/graph/initial.h"
#include "core/graph/range.h"
#include "core/graph/rows.h"
#include "core/ops/vjp.h"

namespace tandem {

enum class Lifetime : uint8_t {
  transient,  // made by a node; lives until its last use
  variable,   // there from step to step: parameters, m, v, counters, constant tables; a binding
  external,   // in host-visible memory: a step's inputs, its report; a binding
};

// What a value is for, and a node by what it makes: the rows of a plan's table, and what memory policies choose by.
enum class Kind : uint8_t {
  other,      // counters, scalars, constant tables, amax words
  io,         // a step's inputs and its report
  parameter,  // with gradient and state: by parameter
  gradient,
  state,           // what an optimizer keeps per parameter; Tag::state says which
  quantized,       // fp8 copies of parameters
  residual,        // the residual stream, summed
  branch,          // what attention and ffn add to it: o, down
  attention_norm,  // a norm's output and its fp8 copies
  ffn_norm,
  qkv,        // up to RoPE
  attention,  // output, its fp8 copies, lse
  ffn,        // gate | up
  swiglu,     // the product and its fp8 copies
  final_norm,
  logits,
  cotangent,  // gradients of activations, and all else that the backward pass makes
  direction,  // what an optimizer makes of a gradient before it updates the parameter by it
  workspace,  // scratch of one node
};
constexpr size_t kKindCount = size_t(Kind::workspace) + 1;
std::string_view name_of(Kind kind);

enum class Phase : uint8_t { forward, recompute, backward };  // forward: of other ranges too
constexpr uint32_t kNoLayer = UINT32_MAX;                     // embedding, final norm, LM head, counters

struct Tag {
  Kind kind = Kind::other;
  uint32_t layer = kNoLayer;
  Phase phase = Phase::forward;
  uint32_t state = 0;  // Kind::state alone: its number (core/optimizer/optimizer.h)
  When when = When::each;
};

struct Value {
  TensorDesc desc;
  Lifetime lifetime = Lifetime::transient;
  std::string name;            // the binding's, for variables, externals and outputs to keep
  uint32_t node = UINT32_MAX;  // producer; UINT32_MAX for variables and externals
  uint32_t output = 0;
  bool on_host = false;  // its bytes lie in host memory, as every external's do
  Kind kind = Kind::other;
  uint32_t layer = kNoLayer;
  uint32_t state = 0;
  Initial initial = Initial::undefined;
  Rows rows;                 // how ranks share it
  abi::Segments segments{};  // a parameter's: the stored tensors in it

  Tag tag() const { return {.kind = kind, .layer = layer, .state = state}; }
};

// What a node becomes: a dispatch of its op, a fill with zeros, a copy, an exchange between ranks. Slice, rank_slice
// and concat, over axis 0, become nothing: they only say where bytes stand.
enum class Form : uint8_t {
  dispatch,
  fill,
  copy,
  slice,
  concat,
  rank_slice,  // the rows that the rank answers for, from a value that has all
  all_gather,
  all_to_all,
  all_reduce_max,
};

struct Node : OpNode {
  Form form = Form::dispatch;  // op is kNoOp for all others
  Range range = Range::begin;
  uint32_t in_place = 0, first_output = 0;  // see Signature
  uint64_t first_row = 0;                   // a slice's
  Tag tag;
  ValueId workspace = {};  // not present: it has none
  bool replaces = false;   // see Signature

  bool has_kernel() const { return form == Form::dispatch; }
  bool is_slice() const { return form == Form::slice || form == Form::rank_slice; }
  bool is_instruction() const { return !is_slice() && form != Form::concat; }
  bool is_collective() const { return form >= Form::all_gather; }
};
std::string_view name_of(const Node& node);  // its op's, or else its form's

class Graph {
 public:
  ValueId variable(std::string name, TensorDesc desc, Initial initial = Initial::undefined);
  ValueId external(std::string name, TensorDesc desc, Initial initial = Initial::undefined);
  // infers outputs; returns them in order, absent ones not present()
  ValueIds add(Range range, OpId op, Parameters parameters, ValueIds inputs, Label label = {});
  // A node of another graph with other inputs, which have the same descs and rows: nothing is inferred anew. Its
  // outputs, until the next node.
  const ValueIds& add_like(const Graph& other, const Node& node, ValueIds inputs, Phase phase);
  ValueId zeros(Range range, TensorDesc desc, Label label = {});
  ValueId zeros_onto(Range range, ValueId onto, Label label = {});           // in place of what is there
  ValueId slice(Range range, ValueId x, uint64_t first_row, uint64_t rows);  // over axis 0
  ValueId concat(Range range, ValueIds parts);                               // over axis 0

  // Several ranks run the Program; 1 unless a pass says so.
  uint32_t ranks() const { return ranks_; }
  void set_ranks(uint32_t ranks) { ranks_ = ranks; }
  // Micro-steps per step; 1 unless said.
  uint32_t accumulation() const { return accumulation_; }
  void set_accumulation(uint32_t accumulation) { accumulation_ = accumulation; }
  void set_rows(ValueId value, Rows rows) { values_.at(value.index).rows = rows; }
  void set_segments(ValueId value, const abi::Segments& segments) { values_.at(value.index).segments = segments; }
  // Leaves a variable the rows of one rank, unless rows.in_whole.
  void share(ValueId variable, Rows rows);
  // Bytes of a value's memory: more than its desc's where ranks share its rows and it has them all.
  uint64_t memory_bytes(ValueId value) const;
  ValueId rank_slice(Range range, ValueId whole);  // (of_rank rows, ...)
  // One exchange of several values; what comes of each, in order. Gathered: (R, ...) of what is alike on all ranks but
  // in its elements, (R) of one element. gather_rows: a rank's rows become all of `rows`; onto: in place of what has
  // them, from their own part of it.
  ValueIds all_gather(Range range, ValueIds values, Label label);
  ValueIds gather_rows(Range range, ValueIds own, std::span<const Rows> rows, Label label);
  ValueIds gather_rows_onto(Range range, const ValueIds& wholes, Label label);
  // Rows that other ranks answer for, of values that have all: (R, of_rank rows, ...), what each rank has of this
  // one's.
  ValueIds all_to_all(Range range, ValueIds wholes, Label label);
  ValueIds all_reduce_max(Range range, ValueIds words, Label label);  // in place
  // Any of these: outputs of such descs, in place of the last inputs.
  ValueIds collective(Range range, Form form, Descs descs, ValueIds inputs, uint32_t in_place, Label label);
  const Tag& tag() const { return tag_; }  // see Scope
  void set_kind(ValueId value, Kind kind, uint32_t state = 0) {
    values_.at(value.index).kind = kind;
    values_.at(value.index).state = state;
  }
  // The kind of another one, and which state it is.
  void set_kind(ValueId value, const Value& like) { set_kind(value, like.kind, like.state); }
  // What overwrites another value is of its kind, and shared by ranks as it is.
  void take_over(ValueId value, const Value& from) {
    set_kind(value, from);
    set_rows(value, from.rows);
  }
  // from's bytes in memory of their own, or in place of onto's
  ValueId copy(Range range, ValueId from, ValueId onto, Label label = {});
  void place_on_host(ValueId value) { values_.at(value.index).on_host = true; }
  void give_workspace(uint32_t node, uint64_t bytes);  // a transient of its own, which lives at the node alone
  void keep(ValueId value, std::string name);          // a transient that the host reads: never overlapped, a binding

  // Makes room for as much as another graph has, and a little more.
  void reserve(const Graph& other);
  const TensorDesc& desc(ValueId v) const { return values_.at(v.index).desc; }
  // The value whose bytes v took over in place, or of which it is a slice; not present: its bytes are its own.
  ValueId source_of(ValueId v) const;
  Descs operands_of(const Node& node) const;  // in the order of a Dispatch; the node has a kernel
  const std::vector<Value>& values() const { return values_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  Node& node(uint32_t index) { return nodes_.at(index); }
  void verify() const;  // see core/graph/verify.cpp; Exit::internal
  std::string dump() const;

 private:
  friend class Scope;
  ValueId make(Value value);
  ValueId add_without_op(Range range, Form form, TensorDesc desc, ValueIds inputs, uint64_t first_row, Label label);
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  Tag tag_;
  uint32_t ranks_ = 1, accumulation_ = 1;
};

// While it lives, nodes and values that the graph makes carry the tag; outputs in place keep the kind of what they
// overwrite. Its end brings back the tag before.
class [[nodiscard]] Scope {
 public:
  Scope(Graph& graph, Tag tag) : graph_(graph), before_(std::exchange(graph.tag_, tag)) {}
  ~Scope() { graph_.tag_ = before_; }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Graph& graph_;
  Tag before_;
};

}  // namespace tandem
