#include "core/plan/knobs.h"

#include <algorithm>
#include <numeric>

namespace tandem {
namespace {

// Elements of an AdamW instruction whose operands are offloaded. Smaller: more launches. Larger: more staged at once.
constexpr uint64_t kOptimizerChunk = 1 << 24;

using R = Recompute;

using Acts = Knob::Acts;

// Where knobs stand that others name, in the order in which they are added.
enum Position : size_t {
  kRest,
  kFirstSet,
  kFirstLayers,
  kHead,
  kAttention,
  kRelease,
  kRemade,
  kTransposed,
  kDistance,
  kUpdateDistance
};

// The last entry holds for the layers behind, and none at all is the empty one.
template <typename T>
void shorten(std::vector<T>& by_layer) {
  while (by_layer.size() > 1 && by_layer[by_layer.size() - 2] == by_layer.back()) by_layer.pop_back();
  if (by_layer.size() == 1 && by_layer.front() == T{}) by_layer.clear();
}

// What acts on nothing is as it is by default, so that policies that do the same are equal.
void settle(MemoryPolicy& policy) {
  EnumSet<Offload> moved = policy.offload_outside, read_in_place;
  for (const EnumSet<Offload> kinds : policy.offload) moved = moved | kinds;
  bool in_layers = false, in_update = false;
  for (size_t kind = 0; kind < kOffloadCount; ++kind) {
    if (!moved.contains(Offload(kind))) continue;
    if (Offload(kind) != Offload::residuals) policy.optimizer_chunk = kOptimizerChunk;
    if (policy.zero_copy.contains(Offload(kind))) {
      read_in_place.insert(Offload(kind));
      continue;
    }
    in_layers = in_layers || !is_state(Offload(kind)) || policy.release != Release::none;
    in_update = in_update || Offload(kind) != Offload::residuals;
  }
  policy.zero_copy = read_in_place;
  if (!in_layers) policy.prefetch_distance = 1;
  if (!in_update) policy.update_distance = 1;
  shorten(policy.recompute);
  shorten(policy.offload);
  shorten(policy.copies);
}

bool is_spread_to(uint32_t layer, uint32_t n, uint32_t layers) {
  return uint64_t(layer + 1) * n / layers > uint64_t(layer) * n / layers;
}

std::vector<uint32_t> attention_chunk_counts(const PlanRequest& request) {
  if (request.limits.attention_chunks) return {*request.limits.attention_chunks};
  std::vector<uint32_t> counts;
  for (uint32_t n = 1; n <= std::min(request.shape.micro_batch, kMostParts); n *= 2) counts.push_back(n);
  return counts;
}

// Estimates start with as many chunks as keep logits near what a layer's gate | up takes, so that the head is not what
// holds most; more of them would take long to compile, and batches that start alike share samples.
std::vector<uint32_t> head_chunks_from_enough(const PlanRequest& request) {
  std::vector<uint32_t> counts = head_chunk_counts(request);
  const uint32_t enough = std::min(kMostParts, request.model.vocabulary / std::max(1u, 2 * request.model.ffn));
  const auto above = std::ranges::upper_bound(counts, enough);
  std::iter_swap(counts.begin(), above == counts.begin() ? above : above - 1);
  return counts;
}

// Returns the kinds that the limits leave and the model has.
std::vector<Offload> offload_kinds(const PlanRequest& request) {
  const std::vector<std::string> words = offload_words(request);
  std::vector<Offload> kinds;
  for (size_t kind = 0; kind < kOffloadCount; ++kind)
    if (!words[kind].empty() && !(Offload(kind) == Offload::gradients && release_of(request) != Release::none) &&
        (!request.limits.offload || request.limits.offload->contains(Offload(kind))))
      kinds.push_back(Offload(kind));
  return kinds;
}

// True of states where the device reads host memory about as fast as copies do: their bytes pass once each way.
bool may_read_in_place(const PlanRequest& request, Offload kind) {
  const Rates& rates = request.target.rates;
  return is_state(kind) && rates.zero_copy > std::min(rates.host_to_device, rates.device_to_host) / 4;
}

std::vector<uint32_t> up_to(uint32_t most) {
  std::vector<uint32_t> values(most + 1);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

// Adds which parts layers recompute. What that takes and saves changes with the batch.
void add_recompute(std::vector<Knob>& knobs, const PlanRequest& request) {
  std::vector<uint32_t> sets;
  for (const EnumSet<R> set : recompute_sets(request.limits, request.coarse)) sets.push_back(set.bits());
  knobs.push_back({"recompute", sets, Acts::everywhere,
                   [](MemoryPolicy& p, uint32_t v, uint32_t n) { p.recompute.assign(n, EnumSet<R>::of(v)); }});
  // The set of the first layers waits in front of the others' until it is known how many they are.
  knobs.push_back({"recompute in the first layers", sets, Acts::everywhere,
                   [](MemoryPolicy& p, uint32_t v, uint32_t) { p.recompute.push_back(EnumSet<R>::of(v)); }});
  knobs.push_back({"first layers",
                   up_to(request.model.layers),
                   Acts::first,
                   [](MemoryPolicy& p, uint32_t v, uint32_t n) {
                     std::fill_n(p.recompute.begin(), std::min(v, n), p.recompute.back());
                     p.recompute.pop_back();
                   },
                   {{kRest}, {kFirstSet}}});
  knobs[kFirstLayers].ranked.pop_back();  // as the rest
  for (const size_t knob : {kRest, kFirstSet, kFirstLayers}) knobs[knob].by_batch = true;
}

// Adds the numbers of parts of the LM head and of attention's gradient, whose effects change with the batch.
void add_chunks(std::vector<Knob>& knobs, const PlanRequest& request) {
  knobs.push_back({"LM head chunks", head_chunks_from_enough(request), Acts::outside,
                   [](MemoryPolicy& p, uint32_t v, uint32_t) { p.lm_head_chunks = v; }});
  knobs.push_back({"attention chunks", attention_chunk_counts(request), Acts::everywhere,
                   [](MemoryPolicy& p, uint32_t v, uint32_t) { p.attention_chunks = v; }});
  for (const size_t knob : {kHead, kAttention}) knobs[knob].by_batch = knobs[knob].in_steps = true;
}

void add_copies(std::vector<Knob>& knobs, const PlanRequest& request) {
  knobs.push_back(
      {"release", {uint32_t(release_of(request))}, Acts::everywhere, [](MemoryPolicy& p, uint32_t v, uint32_t) {
         p.release = Release(v);
       }});
  knobs.push_back({"remade copies", up_to(may_remake(request) ? request.model.layers : 0), Acts::spread,
                   [](MemoryPolicy& p, uint32_t v, uint32_t n) {
                     for (uint32_t l = 0; l < n; ++l)
                       if (is_spread_to(l, std::min(v, n), n)) p.copies[l] = Copies::remade;
                   }});
  if (may_remake(request)) knobs[kRemade].tried = {request.model.layers};  // estimates of mixtures are the least sure
  knobs.push_back({"transposed copies",
                   up_to(may_transpose(request) ? 1 : 0),
                   Acts::everywhere,
                   [](MemoryPolicy& p, uint32_t v, uint32_t) {
                     for (Copies& c : p.copies)
                       if (v == 1 && c == Copies::kept) c = Copies::transposed;
                   },
                   {{kRemade}}});
}

void add_distances(std::vector<Knob>& knobs, const std::vector<Offload>& kinds) {
  knobs.push_back({"prefetch distance", {1}, Acts::everywhere, [](MemoryPolicy& p, uint32_t v, uint32_t) {
                     p.prefetch_distance = v;
                   }});
  knobs.push_back(
      {"update distance", {1}, Acts::everywhere, [](MemoryPolicy& p, uint32_t v, uint32_t) { p.update_distance = v; }});
  const auto vary = [](Knob& knob) { knob.ranked = {0, 1, 2}, knob.tried = {1, 2, 3, 4}; };
  if (!kinds.empty()) {
    knobs[kDistance].values = {1, 0};
    vary(knobs[kDistance]);
  }
  if (!kinds.empty() && kinds != std::vector{Offload::residuals}) vary(knobs[kUpdateDistance]);
}

// The knobs with which moving a kind is sampled.
std::vector<Knob::With> with_offload(const PlanRequest& request, Offload kind) {
  if (is_state(kind) && release_of(request) == Release::none) return {{kUpdateDistance}};
  if (kind == Offload::residuals) {
    const uint32_t block = EnumSet<R>{R::block}.bits();
    return {{kDistance}, {kRest, block}, {kFirstSet, block}, {kFirstLayers}};
  }
  std::vector<Knob::With> with{{kDistance}, {kUpdateDistance}};
  if (kind == Offload::parameters || kind == Offload::copies) with.push_back({kRemade});
  if (kind == Offload::copies) with.push_back({kTransposed});
  return with;
}

void add_offload(std::vector<Knob>& knobs, const PlanRequest& request, Offload kind) {
  const std::string word = offload_words(request)[size_t(kind)];
  const uint32_t layers = request.model.layers;
  std::vector<Knob::With> with = with_offload(request, kind);
  if (may_read_in_place(request, kind)) {
    with.push_back({knobs.size()});
    knobs.push_back({"read in place " + word, {0}, Acts::everywhere, [kind](MemoryPolicy& p, uint32_t v, uint32_t) {
                       if (v == 1) p.zero_copy.insert(kind);
                     }});
    knobs.back().ranked = {0, 1}, knobs.back().tried = {1};
  }
  knobs.push_back({"offload " + word, up_to(layers + (is_in_layers_alone(kind) ? 0 : 1)), Acts::spread,
                   [kind](MemoryPolicy& p, uint32_t v, uint32_t n) {
                     for (uint32_t l = 0; l < n; ++l)
                       if (is_spread_to(l, std::min(v, n), n) &&
                           !(kind == Offload::copies && p.copies[l] == Copies::remade))
                         p.offload[l].insert(kind);
                     if (v > n) p.offload_outside.insert(kind);
                   },
                   with});
  knobs.back().by_batch = kind == Offload::residuals;
}

}  // namespace

uint32_t Knob::most() const {
  return std::max({std::ranges::max(values), std::ranges::max(ranked), tried.empty() ? 0 : tried.back()});
}

bool Knob::acts_in(uint32_t layer, uint32_t value, uint32_t layers) const {
  return acts == Acts::first ? layer < value : is_spread_to(layer, std::min(value, layers), layers);
}

std::vector<Knob> knobs_of(const PlanRequest& request) {
  std::vector<Knob> knobs;
  add_recompute(knobs, request);
  add_chunks(knobs, request);
  add_copies(knobs, request);
  const std::vector<Offload> kinds = offload_kinds(request);
  add_distances(knobs, kinds);
  for (const Offload kind : kinds) add_offload(knobs, request, kind);
  return knobs;
}

// Recompute sets stand in the knob of the first layers, which are all: a start is one move from each set for the rest.
std::vector<Choice> starts_of(const std::vector<Knob>& knobs) {
  std::vector<Choice> starts;
  for (const uint32_t set : knobs[kFirstSet].values)
    for (const auto& [knob, value] :
         {std::pair{kRemade, 0u}, {kRemade, knobs[kRemade].values.back()}, {kTransposed, 1u}}) {
      Choice& choice = starts.emplace_back();
      for (const Knob& knob : knobs) choice.push_back(knob.values.front());
      choice[kFirstSet] = set;
      choice[kFirstLayers] = knobs[kFirstLayers].values.back();
      if (value > knobs[knob].values.back()) starts.pop_back();
      else choice[knob] = value;
    }
  return starts;
}

MemoryPolicy policy_of(const std::vector<Knob>& knobs, const Choice& choice, uint32_t layers) {
  TANDEM_CHECK(choice.size() == knobs.size(), "a choice of {} knobs, expected {}", choice.size(), knobs.size());
  MemoryPolicy policy;
  policy.offload.resize(layers);
  policy.copies.resize(layers);
  for (size_t k = 0; k < knobs.size(); ++k) knobs[k].apply(policy, choice[k], layers);
  settle(policy);
  return policy;
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

}  // namespace tandem
