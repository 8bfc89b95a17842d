#include "core/graph/graph.h"

#include <algorithm>

#include "core/base/size.h"

namespace tandem {

std::string_view name_of(Kind kind) {
  constexpr std::string_view kNames[] = {"other",     "io",        "parameter", "gradient",       "state",
                                         "quantized", "residual",  "branch",    "attention_norm", "ffn_norm",
                                         "qkv",       "attention", "ffn",       "swiglu",         "final_norm",
                                         "logits",    "cotangent", "direction", "workspace"};
  static_assert(std::size(kNames) == kKindCount);
  return kNames[size_t(kind)];
}

std::string_view name_of(const Node& node) {
  constexpr std::string_view kNames[] = {"dispatch",   "fill",       "copy",       "slice",         "concat",
                                         "rank_slice", "all_gather", "all_to_all", "all_reduce_max"};
  return node.has_kernel() ? name_of(node.op) : kNames[size_t(node.form)];
}

ValueId Graph::make(Value value) {
  value.kind = tag_.kind;
  value.layer = tag_.layer;
  value.state = tag_.state;
  values_.push_back(std::move(value));
  return {uint32_t(values_.size() - 1)};
}

ValueId Graph::variable(std::string name, TensorDesc desc, Initial initial) {
  return make({.desc = desc, .lifetime = Lifetime::variable, .name = std::move(name), .initial = initial});
}

ValueId Graph::external(std::string name, TensorDesc desc, Initial initial) {
  return make({.desc = desc, .lifetime = Lifetime::external, .name = std::move(name), .initial = initial});
}

ValueIds Graph::add(Range range, OpId op, Parameters parameters, ValueIds inputs, Label label) {
  Descs descs;
  descs.reserve(inputs.size());
  for (ValueId v : inputs) descs.push_back(v.present() ? desc(v) : TensorDesc{});
  const Signature signature = op_of(op).infer(descs, parameters);
  TANDEM_CHECK(
      signature.in_place <= inputs.size() && signature.first_output + signature.in_place <= signature.outputs.size(),
      "{} overwrites {} of {} inputs", name_of(op), signature.in_place, inputs.size());
  Node node{{op, parameters, std::move(inputs), {}, {}, std::move(label)},
            Form::dispatch,
            range,
            signature.in_place,
            signature.first_output,
            0,
            tag_,
            {},
            signature.replaces};
  node.outputs.reserve(signature.outputs.size());
  for (uint32_t i = 0; i < signature.outputs.size(); ++i) {
    const TensorDesc& d = signature.outputs[i];
    node.outputs.push_back(d.dtype == DType::none ? ValueId{}
                                                  : make({d, Lifetime::transient, {}, uint32_t(nodes_.size()), i}));
  }
  for (uint32_t i = 0; i < node.in_place; ++i) {
    const ValueId in = node.inputs[node.inputs.size() - node.in_place + i], out = node.outputs[node.first_output + i];
    if (!in.present()) continue;
    take_over(out, values_[in.index]);
  }
  nodes_.push_back(std::move(node));
  return nodes_.back().outputs;
}

const ValueIds& Graph::add_like(const Graph& other, const Node& node, ValueIds inputs, Phase phase) {
  ValueIds outputs = node.outputs;
  for (ValueId& v : outputs) {
    if (!v.present()) continue;
    const Value& value = other.values_[v.index];
    v.index = uint32_t(values_.size());
    values_.push_back({.desc = value.desc,
                       .node = uint32_t(nodes_.size()),
                       .output = value.output,
                       .on_host = value.on_host,
                       .kind = value.kind,
                       .layer = node.tag.layer,
                       .state = value.state,
                       .rows = value.rows});
  }
  Tag tag = node.tag;
  tag.phase = phase;
  nodes_.push_back({{node.op, node.parameters, std::move(inputs), std::move(outputs), {}, node.label},
                    node.form,
                    node.range,
                    node.in_place,
                    node.first_output,
                    node.first_row,
                    tag,
                    {},
                    node.replaces});
  return nodes_.back().outputs;
}

void Graph::reserve(const Graph& other) {
  values_.reserve(other.values_.size() * 5 / 4);
  nodes_.reserve(other.nodes_.size() * 5 / 4);
}

// All forms but dispatch have one output and no parameters.
ValueId Graph::add_without_op(Range range, Form form, TensorDesc desc, ValueIds inputs, uint64_t first_row,
                              Label label) {
  const ValueId out = make({desc, Lifetime::transient, {}, uint32_t(nodes_.size()), 0});
  nodes_.push_back({{kNoOp, {}, std::move(inputs), {out}, {}, std::move(label)}, form, range, 0, 0, first_row, tag_});
  return out;
}

ValueId Graph::zeros(Range range, TensorDesc desc, Label label) {
  return add_without_op(range, Form::fill, desc, {}, 0, std::move(label));
}

ValueId Graph::zeros_onto(Range range, ValueId onto, Label label) {
  const ValueId out = add_without_op(range, Form::fill, desc(onto), {onto}, 0, std::move(label));
  nodes_.back().in_place = 1;
  nodes_.back().replaces = true;
  take_over(out, values_[onto.index]);
  return out;
}

ValueId Graph::slice(Range range, ValueId x, uint64_t first_row, uint64_t rows) {
  const TensorDesc d = desc(x);
  TANDEM_CHECK(d.shape.rank() > 0 && first_row + rows <= d.shape[0], "slice {}..{} of {}", first_row, first_row + rows,
               d);
  const ValueId out = add_without_op(range, Form::slice, {d.dtype, d.shape.with_first(rows)}, {x}, first_row, {});
  set_kind(out, values_[x.index]);
  return out;
}

ValueId Graph::concat(Range range, ValueIds parts) {
  TANDEM_CHECK(!parts.empty(), "concat of nothing");
  const TensorDesc first = desc(parts[0]);
  uint64_t rows = 0;
  for (const ValueId part : parts) rows += desc(part).shape[0];
  return add_without_op(range, Form::concat, {first.dtype, first.shape.with_first(rows)}, std::move(parts), 0, {});
}

ValueId Graph::copy(Range range, ValueId from, ValueId onto, Label label) {
  ValueIds inputs{from};
  if (onto.present()) inputs.push_back(onto);
  const ValueId out = add_without_op(range, Form::copy, desc(from), std::move(inputs), 0, std::move(label));
  if (!onto.present()) return out;
  TANDEM_CHECK(desc(onto) == desc(from), "a copy of {} onto {}", desc(from), desc(onto));
  nodes_.back().in_place = 1;
  nodes_.back().replaces = true;
  take_over(out, values_[onto.index]);
  return out;
}

uint64_t Graph::memory_bytes(ValueId value) const {
  const Value& v = values_.at(value.index);
  if (!v.rows.in_whole) return v.desc.bytes();
  return v.desc.bytes() / v.desc.shape[0] * v.rows.of_rank * ranks_;
}

void Graph::share(ValueId variable, Rows rows) {
  Value& value = values_.at(variable.index);
  value.rows = rows;
  if (!rows.in_whole) value.desc.shape = value.desc.shape.with_first(rows.of_rank);
}

ValueId Graph::rank_slice(Range range, ValueId whole) {
  const TensorDesc d = desc(whole);
  const Rows rows = values_.at(whole.index).rows;
  TANDEM_CHECK(rows.in_whole, "%{} has not the rows of all ranks", whole.index);
  const ValueId out =
      add_without_op(range, Form::rank_slice, {d.dtype, d.shape.with_first(rows.of_rank)}, {whole}, 0, {});
  set_kind(out, values_[whole.index]);
  set_rows(out, {rows.whole, rows.of_rank, false});
  return out;
}

ValueIds Graph::collective(Range range, Form form, Descs descs, ValueIds inputs, uint32_t in_place, Label label) {
  Node node{{kNoOp, {}, std::move(inputs), {}, {}, std::move(label)}, form, range, in_place, 0, 0, tag_};
  for (uint32_t i = 0; i < descs.size(); ++i)
    node.outputs.push_back(make({descs[i], Lifetime::transient, {}, uint32_t(nodes_.size()), i}));
  for (uint32_t i = 0; i < in_place; ++i)
    take_over(node.outputs[i], values_[node.inputs[node.inputs.size() - in_place + i].index]);
  nodes_.push_back(std::move(node));
  return nodes_.back().outputs;
}

ValueIds Graph::all_gather(Range range, ValueIds values, Label label) {
  Descs descs;
  for (ValueId v : values) {
    std::vector<uint64_t> sizes{ranks_};
    if (desc(v).shape.count() > 1)
      for (uint64_t size : desc(v).shape.sizes()) sizes.push_back(size);
    descs.push_back({desc(v).dtype, Shape(sizes)});
  }
  return collective(range, Form::all_gather, std::move(descs), std::move(values), 0, std::move(label));
}

ValueIds Graph::gather_rows(Range range, ValueIds own, std::span<const Rows> rows, Label label) {
  Descs descs;
  for (size_t i = 0; i < own.size(); ++i) {
    const TensorDesc& d = desc(own[i]);
    TANDEM_CHECK(d.shape[0] == rows[i].of_rank, "{} for {} rows per rank", d, rows[i].of_rank);
    descs.push_back({d.dtype, d.shape.with_first(rows[i].whole)});
  }
  auto wholes = collective(range, Form::all_gather, std::move(descs), own, 0, std::move(label));
  for (size_t i = 0; i < own.size(); ++i) {
    set_kind(wholes[i], values_[own[i].index]);
    set_rows(wholes[i], {rows[i].whole, rows[i].of_rank, true});
  }
  return wholes;
}

ValueIds Graph::gather_rows_onto(Range range, const ValueIds& wholes, Label label) {
  ValueIds inputs;
  Descs descs;
  for (ValueId whole : wholes) {
    inputs.push_back(rank_slice(range, whole));
    descs.push_back(desc(whole));
  }
  const uint32_t count = uint32_t(wholes.size());
  inputs.append(wholes);
  return collective(range, Form::all_gather, std::move(descs), std::move(inputs), count, std::move(label));
}

ValueIds Graph::all_to_all(Range range, ValueIds wholes, Label label) {
  Descs descs;
  for (ValueId whole : wholes) {
    const Rows& rows = values_.at(whole.index).rows;
    TANDEM_CHECK(rows.in_whole, "%{} has not the rows of all ranks", whole.index);
    descs.push_back({desc(whole).dtype, {ranks_, desc(whole).shape.count() / desc(whole).shape[0] * rows.of_rank}});
  }
  return collective(range, Form::all_to_all, std::move(descs), std::move(wholes), 0, std::move(label));
}

ValueIds Graph::all_reduce_max(Range range, ValueIds words, Label label) {
  Descs descs;
  for (ValueId v : words) descs.push_back(desc(v));
  const uint32_t count = uint32_t(words.size());
  return collective(range, Form::all_reduce_max, std::move(descs), std::move(words), count, std::move(label));
}

ValueId Graph::source_of(ValueId v) const {
  const Value& value = values_[v.index];
  if (value.node == UINT32_MAX) return {};
  const Node& maker = nodes_[value.node];
  if (maker.is_slice()) return maker.inputs[0];
  const bool in_place = value.output >= maker.first_output && value.output < maker.first_output + maker.in_place;
  return in_place ? maker.inputs[maker.inputs.size() - maker.in_place + value.output - maker.first_output] : ValueId{};
}

Descs Graph::operands_of(const Node& node) const {
  Descs descs;
  descs.reserve(node.inputs.size() + node.outputs.size());
  const auto append = [&](ValueId v) { descs.push_back(v.present() ? desc(v) : TensorDesc{}); };
  for (size_t i = 0; i + node.in_place < node.inputs.size(); ++i) append(node.inputs[i]);
  for (ValueId v : node.outputs) append(v);
  return descs;
}

void Graph::give_workspace(uint32_t node, uint64_t bytes) {
  constexpr uint64_t kWord = sizeof(uint32_t);
  Value value{.desc = {DType::u32, {divide_up(bytes, kWord)}}, .node = node};
  value.kind = Kind::workspace;
  value.layer = nodes_.at(node).tag.layer;
  values_.push_back(std::move(value));
  nodes_[node].workspace = {uint32_t(values_.size() - 1)};
}

void Graph::keep(ValueId value, std::string name) {
  values_.at(value.index).name = std::move(name);
}

std::string Graph::dump() const {
  std::string text;
  const auto id = [](ValueId v) { return v.present() ? fmt::format("%{}", v.index) : std::string("-"); };
  for (uint32_t v = 0; v < values_.size(); ++v)
    if (values_[v].node == UINT32_MAX)
      text += fmt::format("%{} = {} {}: {}\n", v, values_[v].lifetime == Lifetime::variable ? "variable" : "external",
                          values_[v].name, values_[v].desc);
  for (const Node& node : nodes_) {
    std::string outputs, inputs;
    for (ValueId v : node.outputs) outputs += (outputs.empty() ? "" : ", ") + id(v);
    for (ValueId v : node.inputs) inputs += (inputs.empty() ? "" : ", ") + id(v);
    text += fmt::format("{:<10} {} = {}({})", name_of(node.range), outputs, name_of(node), inputs);
    if (node.tag.when != When::each) text += fmt::format(" {}", name_of(node.tag.when));
    for (ValueId v : node.outputs)
      if (v.present()) text += fmt::format(" {}", desc(v));
    if (!node.label.empty()) text += fmt::format("  # {}", node.label);
    text += "\n";
  }
  return text;
}

}  // namespace tandem
