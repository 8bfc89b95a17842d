#include "core/plan/policy_text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>

#include "core/abi/state_codes.h"

namespace tandem {
namespace {

std::string to_string(Copies copies) {
  constexpr std::string_view kTexts[] = {"kept", "transposed where they are read", "remade"};
  return std::string(kTexts[size_t(copies)]);
}

// "ffn, norm in 12 of 28 layers"
template <typename Set>
std::string describe(const std::vector<Set>& by_layer, uint32_t layers) {
  std::vector<std::pair<Set, uint32_t>> counts;
  for (uint32_t layer = 0; layer < layers; ++layer) {
    const Set set = by_layer.empty() ? Set{} : by_layer[std::min<size_t>(layer, by_layer.size() - 1)];
    const auto found = std::ranges::find(counts, set, &std::pair<Set, uint32_t>::first);
    if (found == counts.end()) counts.push_back({set, 1});
    else ++found->second;
  }
  if (counts.size() == 1) return to_string(counts[0].first);
  std::string text;
  for (const auto& [set, n] : counts)
    text += fmt::format("{}{} in {} of {} layers", text.empty() ? "" : "; ", to_string(set), n, layers);
  return text;
}

// "m, v everywhere; gradients in 12 of 28 layers"
std::string describe_offload(const MemoryPolicy& policy, uint32_t layers, std::span<const std::string> words) {
  // by layers, and whether outside of them too; most first
  std::map<std::pair<uint32_t, bool>, EnumSet<Offload>, std::greater<>> kinds;
  for (size_t k = 0; k < kOffloadCount; ++k) {
    uint32_t n = 0;
    for (uint32_t layer = 0; layer < layers; ++layer) n += policy.offload_of(layer).contains(Offload(k));
    const bool outside = policy.offload_outside.contains(Offload(k));
    if (n > 0 || outside) kinds[{n, outside}].insert(Offload(k));
  }
  std::vector<std::string> texts;
  for (const auto& [where, set] : kinds) {
    const auto& [n, outside] = where;
    const std::string some = n == layers ? "in all layers" : fmt::format("in {} of {} layers", n, layers);
    const std::string text = !outside ? some : n == layers ? "everywhere" : some + " and outside of them";
    texts.push_back(to_string(set, words) + " " + text);
  }
  return texts.empty() ? "none" : fmt::format("{}", fmt::join(texts, "; "));
}

// "codes of 21 of 28 layers on the device, 7 on the host; transposes remade in 28"
std::string describe_base(const StepSpec& spec, const MemoryPolicy& policy) {
  const BaseLayers layers = base_layers(spec, policy);
  const uint32_t all = spec.model.layers;
  const bool fp8 = spec.precision.fp8();
  const std::string where = fmt::format("{} of {} of {} layers on the device, {} on the host",
                                        fp8 ? "codes" : "weights", layers.on_device, all, all - layers.on_device);
  return fp8 ? fmt::format("{}; transposes remade in {}", where, layers.transposes_remade) : where;
}

}  // namespace

BaseLayers base_layers(const StepSpec& spec, const MemoryPolicy& policy) {
  BaseLayers layers;
  for (uint32_t layer = 0; layer < spec.model.layers; ++layer) {
    const bool fp8 = spec.precision.fp8();
    if (!policy.offload_of(layer).contains(fp8 ? Offload::copies : Offload::parameters)) ++layers.on_device;
    if (fp8 && policy.copies_of(layer) == Copies::transposed) ++layers.transposes_remade;
  }
  return layers;
}

std::vector<PolicyLine> describe(const StepSpec& spec, const MemoryPolicy& policy) {
  const uint32_t layers = spec.model.layers;
  const std::vector<std::string> words = offload_words(spec);
  std::vector<PolicyLine> lines{{"recompute", describe(policy.recompute, layers)},
                                {"offload", describe_offload(policy, layers, words)}};
  if (policy.release != Release::none)
    lines.push_back(
        {"gradients", fmt::format("released in the backward pass, {}", kReleaseNames[size_t(policy.release)])});
  if (!policy.zero_copy.empty()) lines.push_back({"read in place", to_string(policy.zero_copy, words)});
  if (!policy.offload.empty() || !policy.offload_outside.empty())
    lines.push_back({"prefetch", fmt::format("layers ahead {}, parameters ahead in the update {}",
                                             policy.prefetch_distance, policy.update_distance)});
  if (const uint32_t first = spec.model.first_layer; first > 0)
    lines.push_back({"replay", fmt::format("layers {} to {} on streams that are stored, {} bytes per token", first,
                                           first + layers - 1, abi::coded_row_bytes(spec.model.hidden))});
  if (spec.lora.on()) lines.push_back({"base", describe_base(spec, policy)});
  else if (spec.precision.fp8()) lines.push_back({"fp8 copies", describe(policy.copies, layers)});
  lines.push_back({"chunks", fmt::format("LM head {}, attention {}", policy.lm_head_chunks, policy.attention_chunks)});
  return lines;
}

}  // namespace tandem
