#include "core/infer/export.h"

#include <cmath>
#include <cstring>

#include "core/abi/numeric.h"
#include "core/base/message.h"
#include "core/base/parallel.h"
#include "core/infer/adapter.h"
#include "core/model/model_directory.h"
#include "core/model/model_source.h"
#include "core/run/checkpoint.h"
#include "core/run/settings.h"

namespace tandem {
namespace {

// The configuration of a checkpoint's run, whose model's config.json is as it was.
RunConfig config_of(const Checkpoint& checkpoint) {
  const Manifest& manifest = checkpoint.manifest();
  RunConfig config = parse_config(manifest.config, checkpoint.path() + "/manifest.json", {});
  const std::string model_config = config.model.path + "/config.json";
  if (manifest.inputs.empty() || input_file(model_config).hash != manifest.inputs[0].hash)
    fail(Exit::input, model_config, "is not the one that {} was trained with; restore it", checkpoint.path());
  return config;
}

void export_adapter(const Checkpoint& checkpoint, const ModelConfig& config, const std::string& out) {
  const AdapterDirectory adapter = open_adapter(checkpoint.path(), config);
  const std::vector<ParameterSpec> specs = adapter_specs(config, adapter.lora);
  const bool f32 = adapter.tensors.tensors().begin()->second.type == StoredType::f32;
  const auto read = [&](const ParameterSpec&, const StoredTensor& part) { return adapter.tensors.bytes(part.name); };
  save_adapter(out, checkpoint.manifest().adapter_config, f32 ? DType::f32 : DType::bf16, specs, read, false);
}

std::vector<float> read_f32(const TensorFile& file, const std::string& name) {
  std::vector<float> values(file.info(name).shape.count());
  file.read(name, DType::f32, std::as_writable_bytes(std::span(values)));
  return values;
}

// A stored weight and the two factors that adapt it.
struct Adapted {
  std::string a, b;  // names in the adapter's file
  uint32_t rank = 0;
  double scale = 0;
};

// By the names of weights: "model.layers.3.self_attn.q_proj.weight".
std::map<std::string, Adapted> adapted_weights(const AdapterDirectory& adapter, uint32_t layers) {
  std::map<std::string, Adapted> weights;
  for (uint32_t layer = 0; layer < layers; ++layer)
    for (size_t m = 0; m < kLoraModules; ++m) {
      if (!adapter.lora.modules_of(layer).contains(LoraModule(m))) continue;
      const std::string name = peft_name(layer, LoraModule(m));
      weights[module_name(layer, LoraModule(m)) + ".weight"] = {name + ".lora_A.weight", name + ".lora_B.weight",
                                                                adapter.lora.rank, adapter.lora.scale()};
    }
  return weights;
}

// To f32 by rounding to odd, so that rounding once more, to bf16, gives what rounding x once would.
float f32_to_odd(double x) {
  const float nearest = float(x);
  if (!std::isfinite(nearest) || double(nearest) == x) return nearest;
  const uint32_t bits = abi::float_bits(nearest);
  const uint32_t toward_zero = std::abs(double(nearest)) > std::abs(x) ? bits - 1 : bits;
  return abi::bits_float(toward_zero | 1);
}

// W + s B A in f64 over ascending k, rounded to f32 or bf16.
void add_product(std::span<const float> w, const AdapterDirectory& adapter, const Adapted& factors, Shape shape,
                 DType dtype, std::vector<std::byte>& out) {
  const std::vector<float> a = read_f32(adapter.tensors, factors.a), b = read_f32(adapter.tensors, factors.b);
  const uint64_t rows = shape[0], columns = shape[1], rank = factors.rank;
  parallel_for(rows, 16, [&](uint64_t first, uint64_t last) {
    std::vector<double> sums(columns);
    for (uint64_t i = first; i < last; ++i) {
      std::ranges::fill(sums, 0.0);
      for (uint64_t k = 0; k < rank; ++k)
        for (uint64_t j = 0; j < columns; ++j) sums[j] += double(b[i * rank + k]) * double(a[k * columns + j]);
      for (uint64_t j = 0; j < columns; ++j) {
        const double value = double(w[i * columns + j]) + factors.scale * sums[j];
        const uint32_t bits =
            dtype == DType::f32 ? abi::float_bits(float(value)) : abi::bf16_from_f32(f32_to_odd(value));
        std::memcpy(out.data() + (i * columns + j) * size_of(dtype), &bits, size_of(dtype));
      }
    }
  });
}

DType dtype_of(const StoredInfo& info) {
  return info.type == StoredType::bf16 ? DType::bf16 : DType::f32;  // no f16 is written: f32 has all of its values
}

}  // namespace

void export_checkpoint(const std::string& path, const std::string& out) {
  const Checkpoint checkpoint(path);
  const RunConfig config = config_of(checkpoint);
  const ModelSource model = open_model(config.model.path);
  if (!checkpoint.manifest().adapter_config.empty()) return export_adapter(checkpoint, model.config, out);
  const Precision precision = precision_of(config);
  const auto read = [&](const ParameterSpec&, const StoredTensor& part) {
    return checkpoint.bytes(part.name, {precision.compute(), part.shape});
  };
  save_model(read, model, precision, out, false);
}

void export_merged(const std::string& path, std::string base, const std::string& out) {
  const bool is_checkpoint = file_exists(path + "/manifest.json");
  if (base.empty() && !is_checkpoint)
    fail(Exit::configuration, "--merge", "{} is not a checkpoint and names no base; give it with --model", path);
  if (base.empty()) base = config_of(Checkpoint(path)).model.path;
  const ModelSource model = open_model(base);
  const ModelFiles weights = open_weights(model);
  const AdapterDirectory adapter = find_adapter(path, model.config).value();
  const std::map<std::string, Adapted> adapted = adapted_weights(adapter, model.config.layers);
  const std::vector<ParameterSpec> specs = parameter_specs(model.config);
  std::vector<std::byte> buffer;
  std::vector<OutputTensor> tensors;
  for (const ParameterSpec& spec : specs)
    for (const StoredTensor& part : spec.parts) {
      const DType dtype = dtype_of(weights.info(part.name));
      const auto read = [&, dtype] {
        buffer.resize(TensorDesc{dtype, part.shape}.bytes());
        const auto factors = adapted.find(part.name);
        if (factors == adapted.end()) weights.read(part.name, dtype, buffer);
        else
          add_product(read_f32(weights.file(part.name), part.name), adapter, factors->second, part.shape, dtype,
                      buffer);
        return std::span<const std::byte>(buffer);
      };
      tensors.push_back({part.name, {dtype, part.shape}, read});
    }
  save_model_directory(out, model, tensors.front().desc.dtype, tensors);
  write_message(
      "tandem: the merged weights are rounded once to their dtype; a run in fp8 computes with e4m3 roundings of the "
      "base, so that its function differs by these\n");
}

}  // namespace tandem
