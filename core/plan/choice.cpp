#include "core/plan/choice.h"

#include <algorithm>

namespace tandem {
namespace {

constexpr uint64_t kOptimizerChunk = 1 << 24;  // elements of an AdamW instruction whose operands are offloaded
constexpr uint32_t kMostAttentionChunks = 64;

using R = Recompute;

// the last entry holds for the layers behind, and none at all is the empty one
template <typename T>
void shorten(std::vector<T>& by_layer) {
  while (by_layer.size() > 1 && by_layer[by_layer.size() - 2] == by_layer.back()) by_layer.pop_back();
  if (by_layer.size() == 1 && by_layer.front() == T{}) by_layer.clear();
}

}  // namespace

bool is_chosen(uint32_t layer, uint32_t n, uint32_t layers) {
  return uint64_t(layer + 1) * n / layers > uint64_t(layer) * n / layers;
}

bool Choice::copies_in_layers() const {
  for (size_t kind = 0; kind < kOffloadCount; ++kind)
    if (!is_state(Offload(kind)) && offloaded[kind] > 0) return true;
  return false;
}

bool Choice::copies_in_update() const {
  for (size_t kind = 0; kind < kOffloadCount; ++kind)
    if (Offload(kind) != Offload::residuals && offloaded[kind] > 0 && !zero_copy.contains(Offload(kind))) return true;
  return false;
}

MemoryPolicy policy_of(const Choice& choice, uint32_t layers, Release release) {
  MemoryPolicy policy;
  policy.recompute.assign(choice.first_layers, choice.first);
  policy.recompute.push_back(choice.rest);
  policy.offload.resize(layers);
  for (size_t kind = 0; kind < kOffloadCount; ++kind) {
    const uint32_t n = choice.offloaded[kind];
    for (uint32_t layer = 0; layer < layers; ++layer)
      if (is_chosen(layer, std::min(n, layers), layers)) policy.offload[layer].insert(Offload(kind));
    if (n > layers) policy.offload_outside.insert(Offload(kind));
    if (n > 0 && Offload(kind) != Offload::residuals) policy.optimizer_chunk = kOptimizerChunk;
  }
  shorten(policy.recompute);
  shorten(policy.offload);
  policy.lm_head_chunks = choice.head_chunks;
  policy.attention_chunks = choice.attention_chunks;
  policy.zero_copy = choice.zero_copy;
  policy.prefetch_distance = choice.distance;
  policy.update_distance = choice.update_distance;
  policy.release = release;
  const Copies rest = choice.transposed ? Copies::transposed : Copies::kept;
  for (uint32_t layer = 0; layer < layers; ++layer)
    policy.copies.push_back(is_chosen(layer, choice.remade, layers) ? Copies::remade : rest);
  shorten(policy.copies);
  return policy;
}

Choice of_layers(const Choice& choice, uint32_t layers, uint32_t few) {
  Choice scaled = choice;
  for (uint32_t& n : scaled.offloaded) n = n > layers ? few + 1 : n > 0 ? few : 0;
  if (scaled.remade > 0) scaled.remade = few;
  if (scaled.first_layers > 0) scaled.first_layers = few;
  return scaled;
}

std::vector<Release> releases(const PlanRequest& request) {
  if (request.limits.release) return {*request.limits.release};
  std::vector<Release> all{Release::none};
  const bool may = !updates_in_parts(request.optimizer.kind) && request.shape.accumulation == 1 &&
                   request.sharding.ranks == 1 && !request.lora.on();
  if (may) all.push_back(request.optimizer.clip_by == ClipBy::step ? Release::twice : Release::once);
  return all;
}

PlanRequest with_release(PlanRequest request, Release release) {
  request.limits.release = release;
  return request;
}

Release release_of(const PlanRequest& request) {
  return request.limits.release.value_or(Release::none);
}

std::vector<EnumSet<Recompute>> recompute_sets(const PolicyLimits& limits, bool coarse) {
  if (limits.recompute) return {*limits.recompute};
  if (coarse)
    return {{}, {R::norm}, {R::norm, R::swiglu}, {R::norm, R::ffn}, {R::ffn, R::qkv, R::attention}, {R::block}};
  std::vector<EnumSet<Recompute>> sets;
  for (uint32_t bits = 0; bits < 32; ++bits) {
    EnumSet<Recompute> set;
    for (R part : {R::norm, R::swiglu, R::ffn, R::qkv, R::attention})
      if ((bits >> int(part) & 1) != 0) set.insert(part);
    const bool swiglu_twice = set.contains(R::ffn) && set.contains(R::swiglu);
    const bool norms_twice = set.contains(R::norm) && set.contains(R::ffn) && set.contains(R::qkv);
    if (!swiglu_twice && !norms_twice) sets.push_back(set);
  }
  sets.push_back({R::block});
  return sets;
}

std::vector<Offload> offload_kinds(const PlanRequest& request) {
  const std::vector<std::string> words = offload_words(request);
  std::vector<Offload> kinds;
  for (size_t kind = 0; kind < kOffloadCount; ++kind)
    if (!words[kind].empty() && !(Offload(kind) == Offload::gradients && release_of(request) != Release::none) &&
        (!request.limits.offload || request.limits.offload->contains(Offload(kind))))
      kinds.push_back(Offload(kind));
  return kinds;
}

std::vector<Offload> zero_copy_kinds(const PlanRequest& request) {
  std::vector<Offload> kinds;
  const Rates& rates = request.target.rates;
  if (rates.zero_copy >
      std::min(rates.host_to_device, rates.device_to_host) / 4)  // far slower than copies: never better
    for (const Offload kind : offload_kinds(request))
      if (is_state(kind)) kinds.push_back(kind);
  return kinds;
}

std::vector<uint32_t> head_chunk_counts(const PlanRequest& request) {
  if (request.limits.lm_head_chunks) return {*request.limits.lm_head_chunks};
  std::vector<uint32_t> counts;
  const uint64_t columns = uint64_t(request.model.padded_vocabulary()),
                 row = columns * size_of(request.precision.compute());
  for (uint32_t n = 1; n < request.shape.head_chunks; n *= 2) {
    const uint64_t rows = request.shape.rows() / n + 64;  // chunks begin at multiples of some rows
    if (rows * row <= request.target.largest_chunk / 2 && rows * columns <= UINT32_MAX) counts.push_back(n);
  }
  counts.push_back(request.shape.head_chunks);
  return counts;
}

std::vector<uint32_t> attention_chunk_counts(const PlanRequest& request) {
  if (request.limits.attention_chunks) return {*request.limits.attention_chunks};
  std::vector<uint32_t> counts;
  for (uint32_t n = 1; n <= std::min(request.shape.micro_batch, kMostAttentionChunks); n *= 2) counts.push_back(n);
  return counts;
}

}  // namespace tandem
