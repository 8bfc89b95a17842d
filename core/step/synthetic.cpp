#include "core/step/synthetic.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/abi/numeric.h"
#include "core/model/weights.h"

namespace tandem {

void fill_synthetic(Session& session, const ModelConfig& config, const Precision& precision, const Lora& lora) {
  constexpr uint64_t kBlock = 1 << 20;
  std::vector<std::byte> block(kBlock * size_of(precision.compute()));
  for (uint64_t i = 0; i < kBlock; ++i) {
    const abi::PhiloxWords w = abi::philox(1, 2, uint32_t(i), 0, 0, 0);
    const double radius = std::sqrt(-2 * std::log((double(w.word[0]) + 0.5) * 0x1p-32));
    const float x = float(0.02 * radius * std::cos(2 * std::numbers::pi * w.word[1] * 0x1p-32));
    const uint32_t code = precision.compute() == DType::bf16 ? abi::bf16_from_f32(x) : abi::float_bits(x);
    std::memcpy(block.data() + i * size_of(precision.compute()), &code, size_of(precision.compute()));
  }
  const auto fill = [&](const std::string& name) {
    const uint64_t bytes = session.desc(name).bytes();
    for (uint64_t at = 0; at < bytes; at += block.size())
      session.write(name, std::span(block).first(std::min<uint64_t>(block.size(), bytes - at)), at);
  };
  for (const ParameterSpec& spec : parameter_specs(config, lora)) {
    if (!has_codes(spec, precision)) {
      fill(spec.name);
      continue;
    }
    for (const char* codes : {".q", ".qt"})  // any bytes: a code that is NaN takes as long as others
      if (session.has(spec.name + codes)) fill(spec.name + codes);
    const float scale = 0x1p-13f;
    session.write(spec.name + ".scale", std::as_bytes(std::span(&scale, 1)));
  }
}

StepBatch synthetic_batch(const StepShape& shape, uint32_t vocabulary) {
  StepBatch batch;
  for (uint32_t k = 0; k < shape.accumulation; ++k)
    for (uint32_t i = 0; i < shape.rows(); ++i) {
      batch.inputs.push_back(int32_t(i * 7919u % vocabulary));
      batch.targets.push_back(int32_t((i + 1) * 7919u % vocabulary));
      batch.positions.push_back(int32_t(i % shape.sequence_length));
    }
  batch.valid_targets = uint64_t(shape.rows()) * shape.accumulation;
  return batch;
}

}  // namespace tandem
