#include "core/run/settings.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/model/cut.h"
#include "core/plan/batch.h"
#include "core/rates/device_table.h"

namespace tandem {
namespace {

// No particular card's: it ranks policies where nothing is known of the device.
constexpr Rates kSomeCard{.e4m3 = 80e12,
                          .bf16 = 40e12,
                          .f32 = 20e12,
                          .attention = 20e12,
                          .multiprocessors = 40,
                          .bandwidth = 400e9,
                          .host_to_device = 20e9,
                          .device_to_host = 20e9,
                          .launch_seconds = 2e-6};

// nullopt for "auto"; words: offload_words
std::optional<EnumSet<Offload>> offload_of(const std::vector<std::string>& asked, std::vector<std::string> words) {
  if (asked == std::vector<std::string>{"auto"}) return {};
  EnumSet<Offload> set;
  if (asked == std::vector<std::string>{"none"}) return set;
  for (const std::string& word : asked) {
    const auto found = std::ranges::find(words, word);
    if (found == words.end() || word.empty()) {
      std::erase(words, "");
      fail(Exit::configuration, "memory.offload", "'{}' is unknown, expected auto, none, or a list of {}", word,
           fmt::join(words, ", "));
    }
    set.insert(Offload(found - words.begin()));
    // Copies go where their parameters go, as of a run that asks for no word of their own.
    if (word == "parameters" && !words[size_t(Offload::copies)].empty()) set.insert(Offload::copies);
  }
  return set;
}

// parse_config has made sure that sequences are a multiple of what is set.
StepShape batch_of(const RunConfig& config, Recipe recipe) {
  const RunConfig::Batch& b = config.batch;
  const uint32_t length = config.data.sequence_length;
  const uint64_t share = sequences_per_step(config) / config.distributed.devices;
  const uint32_t micro_batch = b.micro_batch             ? *b.micro_batch
                               : b.gradient_accumulation ? uint32_t(share / *b.gradient_accumulation)
                                                         : first_micro_batch(uint32_t(share), length, recipe);
  return {micro_batch, uint32_t(share / micro_batch), length, 1};
}

// A kernel reads the streams of two steps as one operand, however the sequences are dealt out.
void check_streams(const StepSpec& spec, const Target& target) {
  const uint64_t sequence = 2ull * spec.shape.sequence_length * spec.model.hidden;
  const uint64_t sequences = uint64_t(spec.shape.micro_batch) * spec.shape.accumulation;
  if (spec.model.first_layer == 0 || sequence * sequences <= target.largest_chunk) return;
  fail(Exit::does_not_fit, "replay.directory",
       "the streams of two steps of {} sequences take {} bytes, and a kernel of the device takes at most {}; lower "
       "batch.gradient_accumulation or batch.sequences to at most {} sequences per step",
       sequences, sequence * sequences, target.largest_chunk, target.largest_chunk / sequence);
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

uint64_t sequences_per_step(const RunConfig& config) {
  const RunConfig::Batch& b = config.batch;
  if (b.sequences > 0) return b.sequences;
  return uint64_t(b.micro_batch.value()) * b.gradient_accumulation.value() * config.distributed.devices;
}

uint32_t free_sequences(const RunConfig& config) {
  const RunConfig::Batch& b = config.batch;
  return b.micro_batch || b.gradient_accumulation ? 0 : b.sequences / config.distributed.devices;
}

std::optional<AdapterDirectory> configured_adapter(const RunConfig::Lora& lora, const ModelConfig& model) {
  if (lora.adapter.empty()) return {};
  AdapterDirectory adapter = open_adapter(lora.adapter, model);
  const RunConfig::Lora defaults;
  const auto check = [&](const char* key, const auto& is, const auto& unset, const auto& its, const auto& text) {
    if (is != unset && is != its)
      fail(Exit::configuration, key, "is {}, the adapter {} has {}; leave the key out", text(is), lora.adapter,
           text(its));
  };
  const auto plain = [](const auto& value) { return fmt::format("{}", value); };
  const auto names = [](EnumSet<LoraModule> set) {
    std::vector<std::string_view> list;
    for (size_t m = 0; m < kLoraModules; ++m)
      if (set.contains(LoraModule(m))) list.push_back(kLoraModuleNames[m]);
    return fmt::format("{}", fmt::join(list, ", "));
  };
  check("lora.rank", lora.rank, defaults.rank, adapter.lora.rank, plain);
  check("lora.alpha", lora.alpha, defaults.alpha, adapter.lora.alpha, plain);
  check("lora.rslora", lora.rslora, defaults.rslora, adapter.lora.rslora, plain);
  check("lora.target_modules", lora.target_modules, defaults.target_modules, adapter.lora.all_modules(), names);
  check("lora.first_layer", lora.first_layer, defaults.first_layer, adapter.lora.first_layer(), plain);
  return adapter;
}

Lora lora_of(const RunConfig::Lora& lora, const std::optional<AdapterDirectory>& adapter) {
  if (adapter) return adapter->lora;
  if (!lora.on()) return {};
  std::vector<EnumSet<LoraModule>> modules(lora.first_layer);
  modules.push_back(lora.target_modules);
  return {.rank = lora.rank, .alpha = lora.alpha, .rslora = lora.rslora, .modules = std::move(modules)};
}

StepSpec step_spec(const RunConfig& config, const ModelConfig& model, const Lora& lora) {
  const Precision precision = precision_of(config);
  const StepShape shape =
      with_head_chunks(batch_of(config, precision.recipe), model, precision, config.memory.lm_head_chunks);
  check_multiples(model, precision, shape.rows());
  if (config.lora.first_layer >= model.layers)
    fail(Exit::configuration, "lora.first_layer", "is {}, the model has {} layers; use 0 to {}",
         config.lora.first_layer, model.layers, model.layers - 1);
  StepSpec spec{
      model, precision, config.optimizer, shape, {.ranks = config.distributed.devices, .zero = config.distributed.zero},
      lora,  {}};
  limits_of(config.memory, spec);  // Its words are checked before anything large is read.
  return spec;
}

StepSpec replayed(StepSpec spec, const RunConfig::Replay& replay) {
  if (!replay.on() && !replay.rounding) return spec;
  const uint32_t layer = spec.lora.first_layer();
  if (layer == 0)
    fail(Exit::configuration, replay.on() ? "replay.directory" : "replay.rounding",
         "is set, and the adapter begins at layer 0, below which nothing is left to be stored; leave it out");
  spec.lora.rounded = !replay.on();
  if (!replay.on()) return spec;
  spec.model = layers_from(spec.model, layer);
  spec.lora = layers_from(spec.lora, layer);
  if (const uint32_t of = size_multiple(spec.precision.recipe), T = spec.shape.sequence_length; T % of != 0)
    fail(Exit::configuration, "data.sequence_length",
         "is {}, and a replay stores the windows of {} one by one, expected a multiple of {}", T,
         name_of(spec.precision.recipe), of);
  if (const uint64_t most = UINT32_MAX / (2ull * spec.shape.accumulation * spec.shape.rows()); spec.model.hidden > most)
    fail(Exit::does_not_fit, "replay.directory",
         "the streams of two steps are 2^32 elements or more; lower batch.gradient_accumulation or batch.sequences to "
         "at most {} sequences per step",
         UINT32_MAX / (2ull * spec.shape.sequence_length * spec.model.hidden));
  return spec;
}

Target within_budget(Target target, const RunConfig::Memory& memory) {
  if (memory.device) target.memory_bytes = std::min(target.memory_bytes, *memory.device);
  if (memory.host) target.host_memory_bytes = *memory.host;
  return target;
}

// What a rank gets of a device that others share, all of them at work.
Rates of_shared_device(Rates rates, uint32_t sharers) {
  for (double* rate : {&rates.e4m3, &rates.bf16, &rates.f32, &rates.attention, &rates.attention_backward,
                       &rates.narrow_attention, &rates.narrow_attention_backward, &rates.bandwidth})
    *rate /= sharers;
  return rates;
}

Target of_one_rank(Target target, uint32_t ranks, uint32_t local_ranks, uint32_t per_device) {
  if (ranks == 1) return target;
  target.rates = of_shared_device(std::move(target.rates), per_device);
  target.queues.insert(Queue::exchange);
  target.host_memory_bytes /= local_ranks;
  if (const double most = target.rates.links.host_total / local_ranks; most > 0)
    for (double* rate : {&target.rates.host_to_device, &target.rates.device_to_host}) *rate = std::min(*rate, most);
  return target;
}

PolicyLimits limits_of(const RunConfig::Memory& memory, const StepSpec& spec) {
  StepSpec most = spec;
  most.precision.master = true;  // A run without masters may name them: nothing is moved.
  return {.recompute = memory.recompute,
          .offload = offload_of(memory.offload, offload_words(most)),
          .lm_head_chunks = memory.lm_head_chunks,
          .attention_chunks = memory.attention_chunks,
          .release = memory.release_gradients};
}

Target with_measured_rates(Target target) {
  const std::optional<DeviceTable> table = device_table_of(target.name);
  if (table && table->measured) target.rates = table->target.rates;
  return target;
}

bool has_rates(const Target& target) {
  return rates_of(target).known();
}

PlanRequest plan_request(const RunConfig& config, const StepSpec& spec, const Target& target, uint32_t local_ranks) {
  check_streams(spec, target);
  PlanRequest request{spec, {}, false, target};
  request.limits = limits_of(config.memory, request);
  request.target.rates = rates_of(target);
  if (!request.target.rates.known()) request.target.rates = kSomeCard;
  request.target =
      of_one_rank(std::move(request.target), spec.sharding.ranks, local_ranks, config.distributed.ranks_per_device);
  return request;
}

}  // namespace tandem
