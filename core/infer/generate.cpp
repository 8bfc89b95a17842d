#include "core/infer/generate.h"

#include <algorithm>
#include <cmath>

#include "core/abi/numeric.h"
#include "core/base/message.h"
#include "core/step/parameters.h"

namespace tandem {
namespace {

// uniform in (0, 1): word 0 of philox(seed; n), like every random draw a function of its position alone
double uniform(uint64_t seed, uint32_t n) {
  return (abi::philox(uint32_t(seed), uint32_t(seed >> 32), n, 0, 0, 0).word[0] + 0.5) * 0x1p-32;
}

int32_t most_likely(const std::vector<float>& logits) {
  return int32_t(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

int32_t sample(const std::vector<float>& logits, double temperature, double u) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (float l : logits) total += std::exp((l - top) / temperature);
  double left = u * total;
  for (size_t i = 0; i < logits.size(); ++i)
    if ((left -= std::exp((logits[i] - top) / temperature)) < 0) return int32_t(i);
  return most_likely(logits);  // u * total rounded up to total
}

}  // namespace

uint32_t generation_capacity(const ModelConfig& config, uint64_t prompt, uint32_t max_tokens) {
  const uint64_t most = std::max(config.max_positions, prompt + 1), capacity = std::min(prompt + max_tokens, most);
  const uint64_t tokens = capacity - prompt + 1;  // the last one is never put into the cache
  if (prompt > config.max_positions || tokens < max_tokens)
    warn(fmt::format(
        "a prompt of {} tokens and --max-tokens {} pass the model's max_position_embeddings {}; it writes at most {}",
        prompt, max_tokens, config.max_positions, std::min<uint64_t>(tokens, max_tokens)));
  return uint32_t(capacity);
}

Generator::Generator(Backend& backend, const ModelSource& model, const ModelFiles& weights, const Precision& precision,
                     uint32_t capacity, const std::optional<AdapterDirectory>& adapter)
    : model_(model), capacity_(capacity) {
  const Lora lora = adapter ? adapter->lora : Lora{};
  Compiled compiled =
      compile_to_run(build_generation_graph(model_.config, precision, capacity, lora), backend.target());
  session_ = std::make_unique<Session>(backend, std::move(compiled.program));
  session_->write("rope", bytes_of(rope_table(model_.config, capacity)));
  load_parameters(*session_, model_, weights);
  if (adapter) load_adapter(*session_, *adapter, adapter_specs(model_.config, lora));
}

std::vector<float> Generator::logits(int32_t token, uint32_t position) {
  const int32_t at = int32_t(position);
  session_->write("token", std::as_bytes(std::span(&token, 1)));
  session_->write("position", std::as_bytes(std::span(&at, 1)));
  session_->run(Range::evaluate);
  std::vector<float> values(model_.config.vocabulary);
  if (session_->desc("logits").dtype == DType::f32) {
    session_->read("logits", std::as_writable_bytes(std::span(values)));
  } else {
    std::vector<uint16_t> codes(values.size());
    session_->read("logits", std::as_writable_bytes(std::span(codes)));
    std::transform(codes.begin(), codes.end(), values.begin(), [](uint16_t c) { return abi::f32_from_bf16(c); });
  }
  if (!std::ranges::all_of(values, [](float x) { return std::isfinite(x); }))
    fail(Exit::input, model_.path, "the model's logits are not finite after token {} at position {}", token, position);
  return values;
}

std::vector<int32_t> Generator::run(const std::vector<int32_t>& prompt, const Sampling& sampling,
                                    const std::function<void(int32_t)>& emit) {
  std::vector<float> next;
  uint32_t position = 0;
  for (int32_t token : prompt) next = logits(token, position++);
  const std::vector<uint32_t> ends = generation_eos_ids(model_.path, model_.config);
  std::vector<int32_t> tokens;
  while (tokens.size() < sampling.max_tokens) {
    const int32_t token = sampling.temperature > 0
                              ? sample(next, sampling.temperature, uniform(sampling.seed, position))
                              : most_likely(next);
    tokens.push_back(token);
    if (emit) emit(token);
    if (std::ranges::find(ends, uint32_t(token)) != ends.end() || position == capacity_) break;
    if (tokens.size() < sampling.max_tokens) next = logits(token, position++);
  }
  return tokens;
}

}  // namespace tandem
