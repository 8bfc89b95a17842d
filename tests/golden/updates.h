// An optimizer's update alone, on gradients that are given.
#pragma once

#include "core/abi/step_scalars.h"
#include "core/abi/step_verdict.h"
#include "core/optimizer/update.h"
#include "core/passes/compile.h"
#include "tests/golden/run.h"
#include "tests/support/tensor.h"

namespace tandem::test {

// Stored matrices of one layer, stacked.
inline ParameterSpec stacked(std::string name, std::vector<StoredTensor> parts) {
  uint64_t rows = 0;
  for (StoredTensor& part : parts) {
    part.place = part.shape;
    part.first = rows * part.shape[1];
    rows += part.shape[0];
  }
  const Shape shape = parts[0].shape.with_first(rows);
  return {.name = std::move(name), .shape = shape, .parts = std::move(parts), .layer = 0};
}

inline ParameterSpec vector_spec(const std::string& name, uint64_t count) {
  ParameterSpec spec = stacked(name, {{.name = name, .shape = {count, 1}}});
  spec.shape = spec.parts[0].shape = spec.parts[0].place = {count};
  return spec;
}

inline std::vector<float> floats_of(const TensorFile& file, const std::string& name) {
  std::vector<float> values(file.info(name).shape.count());
  file.read(name, DType::f32, std::as_writable_bytes(std::span(values)));
  return values;
}

// What the parts of a parameter have in the file, side by side: PREFIXname, or one of PREFIXname.gradients.
inline std::vector<float> floats_of_parts(const TensorFile& file, const ParameterSpec& spec, const std::string& prefix,
                                          std::optional<uint32_t> gradient = {}) {
  std::vector<float> all;
  for (const StoredTensor& part : spec.parts) {
    const std::vector<float> values = floats_of(file, prefix + part.name + (gradient ? ".gradients" : ""));
    const auto first = values.begin() + ptrdiff_t(gradient.value_or(0) * part.shape.count());
    all.insert(all.end(), first, first + ptrdiff_t(part.shape.count()));
  }
  return all;
}

// An update's graph on a device, whose gradients the host writes. What each matrix is updated by is kept:
// NAME.direction
class Updates {
 public:
  Updates(Backend& backend, const OptimizerOptions& options, const Precision& precision,
          const std::vector<ParameterSpec>& specs) {
    Graph graph;
    ValueIds parameters, gradients;
    for (const ParameterSpec& spec : specs) {
      parameters.push_back(graph.variable(spec.name, {precision.compute(), spec.shape}));
      gradients.push_back(graph.variable(spec.name + ".gradient", {precision.gradient, spec.shape}));
    }
    const ValueId loss = graph.variable("loss", {DType::f32, {1}}, Initial::zero);
    const ValueId scalars = graph.variable("scalars", {DType::u32, {abi::kStepScalarWords}});
    const ValueId counter = graph.variable("counter", {DType::i32, {16}}, Initial::zero);
    const auto optimizer = make_optimizer(options, precision);
    emit_update(graph, *optimizer, {specs, parameters, gradients, loss, scalars, counter},
                {options.grad_clip, options.clip_by});
    for (size_t n = 0; n < graph.nodes().size(); ++n)
      if (const Node& node = graph.nodes()[n]; node.op == OpId::muon_update)
        graph.keep(node.inputs[0], node.label.text() + ".direction");
    session_ = std::make_unique<Session>(backend, compile(std::move(graph), backend.target()).program);
    for (const Binding& b : session_->program().bindings) session_->zero(b.name);
  }

  bool has(const std::string& binding) const { return session_->has(binding); }
  void write(const std::string& binding, const std::vector<float>& values) {
    std::vector<std::byte> bytes(session_->desc(binding).bytes());
    Tensor tensor(session_->desc(binding), bytes.data());
    REQUIRE(values.size() == tensor.size());
    for (uint64_t i = 0; i < values.size(); ++i) tensor.set(i, values[i]);
    session_->write(binding, bytes);
  }
  std::vector<std::byte> bytes(const std::string& binding) const {
    std::vector<std::byte> bytes(session_->desc(binding).bytes());
    session_->read(binding, bytes);
    return bytes;
  }
  std::vector<float> values(const std::string& binding) const {
    std::vector<std::byte> read = bytes(binding);
    const Tensor tensor(session_->desc(binding), read.data());
    std::vector<float> values(tensor.size());
    for (uint64_t i = 0; i < values.size(); ++i) values[i] = float(tensor.get(i));
    return values;
  }

  void step(uint32_t s, double rate) {
    const abi::StepScalars scalars{
        .learning_rate = float(rate), .inverse_targets = 1, .step = s, .seed_low = 1, .targets = 1};
    session_->write("scalars", std::as_bytes(std::span(&scalars, 1)));
    session_->run(Range::update);
  }

  abi::StepReport report(uint32_t slot = 1) const {  // the counter stays 0: slot 1
    abi::StepReport report;
    session_->read("report", std::as_writable_bytes(std::span(&report, 1)),
                   slot * abi::kStepScalarWords * sizeof(uint32_t));
    return report;
  }

 private:
  std::unique_ptr<Session> session_;
};

// Whether a parameter that stacks q, k and v has the bits, states among them, that each has alone, with a master and
// without. rows: of k and v; clipping by tensor wants parts that begin at a multiple of 8 elements.
void check_stacked_as_alone(Backend& backend, const OptimizerOptions& options, Precision precision, double rate,
                            uint64_t rows = 13);

// A case of tests/golden/cases/KIND: a parameter, the gradients by which it trains, and what a package made of it.
class UpdatesGolden {
 public:
  UpdatesGolden(const std::string& kind, const std::string& name)
      : file_(Golden("qwen2").directory + "/../" + kind + "/golden.safetensors"), name_(name + ".") {}

  Shape shape_of(const std::string& what) const { return file_.info(name_ + what).shape; }
  Shape shape() const { return shape_of("parameter"); }
  std::vector<float> floats(const std::string& what) const { return floats_of(file_, name_ + what); }
  std::vector<float> gradient(uint32_t step) const {
    const std::vector<float> all = floats("gradients");
    const size_t count = shape().count(), first = step % (all.size() / count) * count;
    return {all.begin() + ptrdiff_t(first), all.begin() + ptrdiff_t(first + count)};
  }

 private:
  TensorFile file_;
  std::string name_;
};

}  // namespace tandem::test
