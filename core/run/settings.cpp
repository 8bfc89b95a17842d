#include "core/run/settings.h"

#include <algorithm>

#include "core/plan/device_table.h"

namespace tandem {
namespace {

// Of no particular card: it ranks policies where nothing is known of the device.
constexpr Rates kSomeCard{.e4m3 = 80e12,
                          .bf16 = 40e12,
                          .f32 = 20e12,
                          .attention = 20e12,
                          .multiprocessors = 40,
                          .bandwidth = 400e9,
                          .host_to_device = 20e9,
                          .device_to_host = 20e9,
                          .launch_seconds = 2e-6};

// none for "auto"
template <typename E, typename Names>
std::optional<EnumSet<E>> set_of(const std::vector<std::string>& words, const Names& names) {
  if (words.size() == 1 && words[0] == "auto") return {};
  EnumSet<E> set;
  for (size_t i = 0; i < std::size(names); ++i)
    if (std::ranges::find(words, names[i]) != words.end()) set.insert(E(i));
  return set;
}

Rates rates_of(const Target& target) {
  if (target.rates.known()) return target.rates;
  const std::optional<DeviceTable> table = device_table_of(target.name);
  return table ? table->target.rates : Rates{};
}

}  // namespace

Precision precision_of(const RunConfig& config) {
  Precision p;
  const std::string& name = config.precision.recipe;
  p.recipe = name == "fp32" ? Recipe::fp32 : name == "bf16" ? Recipe::bf16 : Recipe::fp8;
  p.gradient = config.precision.gradient_dtype;
  p.m = config.optimizer.m_dtype;
  p.v = config.optimizer.v_dtype;
  p.master = config.optimizer.master_dtype == DType::f32;
  p.fast_accumulation = config.precision.fast_accumulation;
  return p;
}

StepSpec step_spec(const RunConfig& config, const ModelConfig& model) {
  const Precision precision = precision_of(config);
  const StepShape batch{config.batch.micro_batch, config.batch.gradient_accumulation, config.data.sequence_length, 1};
  const StepShape shape = with_head_chunks(batch, model, precision, config.memory.lm_head_chunks);
  check_fp8(model, precision, shape.rows());
  return {model, precision, config.optimizer, shape};
}

MemoryPolicy policy_of(const RunConfig::Memory& memory, std::span<const std::string> words) {
  const PolicyLimits limits = limits_of(memory, words);
  MemoryPolicy policy =
      uniform_policy(limits.recompute.value_or(EnumSet<Recompute>{}), limits.offload.value_or(EnumSet<Offload>{}));
  policy.attention_chunks = limits.attention_chunks.value_or(1);
  return policy;
}

Target within_budget(Target target, const RunConfig::Memory& memory) {
  if (memory.device) target.memory_bytes = std::min(target.memory_bytes, *memory.device);
  if (memory.host)
    target.host_memory_bytes =
        target.host_memory_bytes == 0 ? *memory.host : std::min(target.host_memory_bytes, *memory.host);
  return target;
}

PolicyLimits limits_of(const RunConfig::Memory& memory, std::span<const std::string> words) {
  return {.recompute = set_of<Recompute>(memory.recompute, kRecomputeNames),
          .offload = set_of<Offload>(memory.offload, words),
          .lm_head_chunks = memory.lm_head_chunks,
          .attention_chunks = memory.attention_chunks};
}

Target with_measured_rates(Target target) {
  const std::optional<DeviceTable> table = device_table_of(target.name);
  if (table && table->measured) target.rates = table->target.rates;
  return target;
}

bool has_rates(const Target& target) {
  return rates_of(target).known();
}

PlanRequest plan_request(const RunConfig& config, const StepSpec& spec, const Target& target) {
  PlanRequest request{spec, {}, false, target};
  request.limits = limits_of(config.memory, offload_words(request));
  request.target.rates = rates_of(target);
  if (!request.target.rates.known()) request.target.rates = kSomeCard;
  return request;
}

}  // namespace tandem
