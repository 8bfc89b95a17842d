#include "core/plan/estimate.h"

#include <algorithm>
#include <future>

#include "core/plan/byte_table.h"

namespace tandem {
namespace {

// Models of this many layers, and of one more, are sampled: enough that prefetches run ahead as in a whole one.
constexpr uint32_t kSampledLayers = 4;
constexpr uint64_t kOptimizerChunk = uint64_t{1}
                                     << 24;  // elements of an AdamW instruction whose operands are offloaded
constexpr uint32_t kMostAttentionChunks = 64;
constexpr uint64_t kUnlimited = uint64_t{1} << 62;

using R = Recompute;

Takes difference(const Takes& a, const Takes& b) {
  Takes d = a;
  return d.add(b, -1);
}

// which of n layers out of all, spread evenly so that copies are
bool is_chosen(uint32_t layer, uint32_t n, uint32_t layers) {
  return uint64_t(layer + 1) * n / layers > uint64_t(layer) * n / layers;
}

// the last entry holds for the layers behind, and none at all is the empty set
template <typename E>
void shorten(std::vector<EnumSet<E>>& sets) {
  while (sets.size() > 1 && sets[sets.size() - 2] == sets.back()) sets.pop_back();
  if (sets.size() == 1 && sets.front().empty()) sets.clear();
}

Takes::Busy busy_of(const ProgramCost& cost) {
  const double copies = cost.of(CostClass::copy).seconds;
  double all = 0;
  for (const ClassCost& c : cost.classes) all += c.seconds;
  Takes::Busy busy{all - copies, cost.copies_in, cost.copies_out, 0};
  busy.latency = cost.seconds - std::max({busy.compute, busy.in, busy.out});
  return busy;
}

}  // namespace

Takes& Takes::add(const Takes& other, double times) {
  device += times * other.device;
  host += times * other.host;
  for (size_t r = 0; r < ranges.size(); ++r) {
    ranges[r].compute += times * other.ranges[r].compute;
    ranges[r].in += times * other.ranges[r].in;
    ranges[r].out += times * other.ranges[r].out;
    ranges[r].latency += times * other.ranges[r].latency;
  }
  return *this;
}

double Takes::seconds(uint32_t accumulation) const {
  const auto range = [](const Busy& b) { return std::max({b.compute, b.in, b.out}) + std::max(0.0, b.latency); };
  return range(ranges[0]) + accumulation * range(ranges[1]) + range(ranges[2]);
}

bool Choice::operator<(const Choice& other) const {
  const auto key = [](const Choice& c) {
    return std::tuple(c.first.bits(), c.rest.bits(), c.first_layers, c.offloaded, c.head_chunks, c.attention_chunks,
                      c.remade);
  };
  return key(*this) < key(other);
}

MemoryPolicy policy_of(const Choice& choice, uint32_t layers) {
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
  if (choice.remade) policy.copies = {Copies::remade};
  return policy;
}

std::vector<EnumSet<Recompute>> recompute_sets(const PolicyLimits& limits, bool coarse) {
  if (limits.recompute) return {*limits.recompute};
  if (coarse) return {{}, {R::norm, R::swiglu}, {R::norm, R::ffn}, {R::ffn, R::qkv, R::attention}, {R::block}};
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

std::vector<Offload> offload_kinds(const PolicyLimits& limits, const Precision& precision) {
  std::vector<Offload> kinds;
  for (size_t kind = 0; kind < kOffloadCount; ++kind)
    if ((!limits.offload || limits.offload->contains(Offload(kind))) &&
        (Offload(kind) != Offload::master || precision.master))
      kinds.push_back(Offload(kind));
  return kinds;
}

std::vector<uint32_t> head_chunk_counts(const PlanRequest& request) {
  if (request.limits.lm_head_chunks) return {*request.limits.lm_head_chunks};
  std::vector<uint32_t> counts;
  const uint64_t columns = uint64_t(request.model.vocabulary + 15) / 16 * 16,
                 row = columns * size_of(request.precision.compute());
  for (uint32_t n = 1; n < request.shape.head_chunks; n *= 2) {
    const uint64_t rows = request.shape.rows() / n + 64;  // chunks begin at multiples of some rows
    if (rows * row <= request.target.largest_operand / 2 && rows * columns <= UINT32_MAX) counts.push_back(n);
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

std::vector<bool> remade_choices(const PlanRequest& request) {
  return request.precision.fp8() ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

Target without_budget(Target target) {
  target.memory_bytes = kUnlimited;
  target.host_memory_bytes = 0;
  return target;
}

Takes takes_of(const Compiled& compiled, const Target& target) {
  Takes takes;
  takes.device = double(device_bytes(compiled, target));
  takes.host = double(compiled.memory.host_bytes);
  for (size_t r = 0; r < takes.ranges.size(); ++r)
    takes.ranges[r] = busy_of(cost_of(compiled.program, Range(r), target.rates));
  return takes;
}

Estimator::Estimator(const PlanRequest& request) : request_(request), layers_(request.model.layers) {
  const std::vector<uint32_t> heads = head_chunk_counts(request), attentions = attention_chunk_counts(request);
  const std::vector<EnumSet<Recompute>> sets = recompute_sets(request.limits, request.coarse);
  base_.first = base_.rest = sets.front();
  // as many chunks as keep logits below what a layer's ffn takes, so that the head is not what holds most; more of them
  // would take long to compile
  const uint32_t enough = request.model.vocabulary / std::max(1u, request.model.ffn) + 1;
  const auto base_heads = std::ranges::find_if(heads, [&](uint32_t n) { return n >= enough; });
  base_.head_chunks = base_heads == heads.end() ? heads.back() : *base_heads;
  base_.attention_chunks = attentions.front();
  std::vector<std::future<Line>> lines;
  for (const EnumSet<Recompute> set : sets)
    lines.push_back(std::async(std::launch::async, [this, set] {
      Choice choice = base_;
      choice.first = choice.rest = set;
      return line(choice);
    }));
  for (size_t i = 0; i < sets.size(); ++i) recompute_[sets[i].bits()] = lines[i].get();
  const Takes base = sample(base_, kSampledLayers);
  for (uint32_t n : heads) {
    Choice choice = base_;
    choice.head_chunks = n;
    head_[n] = difference(sample(choice, kSampledLayers), base);
  }
  for (uint32_t n : attentions) {
    Choice choice = base_;
    choice.attention_chunks = n;
    attention_[n] = difference(sample(choice, kSampledLayers), base);
  }
  for (const Offload kind : offload_kinds(request.limits, request.precision)) sample_offload(kind);
  if (remade_choices(request).size() > 1) sample_remade();
}

// layers: of the sampled model; a choice's "all layers" and "outside too" are that model's
Takes Estimator::sample(const Choice& choice, uint32_t layers) const {
  Choice scaled = choice;
  for (uint32_t& n : scaled.offloaded) n = n > layers_ ? layers + 1 : n > 0 ? layers : 0;
  ModelConfig model = request_.model;
  model.layers = layers;
  return takes_of(compile_step(model, request_.precision, request_.optimizer, request_.shape, policy_of(scaled, layers),
                               without_budget(request_.target)),
                  request_.target);
}

Estimator::Line Estimator::line(const Choice& choice) const {
  const uint32_t fewer = std::min(kSampledLayers, std::max(1u, layers_ - 1));
  Line line{sample(choice, fewer), sample(choice, fewer + 1)};
  line.layer.add(line.fixed, -1);
  line.fixed.add(line.layer, -double(fewer));
  return line;
}

Estimator::Line Estimator::beside(const Choice& choice, const Line& without) const {
  const Line with = line(choice);
  return {difference(with.fixed, without.fixed), difference(with.layer, without.layer)};
}

void Estimator::sample_offload(Offload kind) {
  Choice choice = base_;
  choice.offloaded[size_t(kind)] = layers_;
  offload_[size_t(kind)] = beside(choice, recompute_.at(base_.rest.bits()));
  if (kind == Offload::residuals) {
    choice.first = choice.rest = {Recompute::block};
    const auto block = recompute_.find(choice.rest.bits());
    if (block != recompute_.end()) block_residuals_ = beside(choice, block->second);
    return;  // there are none outside of the layers
  }
  Choice all = choice;
  all.offloaded[size_t(kind)] = layers_ + 1;
  outside_[size_t(kind)] = difference(sample(all, kSampledLayers), sample(choice, kSampledLayers));
}

// What remaking the copies does is alike under any recompute set, but not when parameters are offloaded.
void Estimator::sample_remade() {
  constexpr size_t kParameters = size_t(Offload::parameters);
  Choice choice = base_;
  choice.remade = true;
  const Line kept = recompute_.at(base_.rest.bits()), remade = line(choice);
  remade_ = {difference(remade.fixed, kept.fixed), difference(remade.layer, kept.layer)};
  choice.offloaded[kParameters] = layers_;
  remade_parameters_ = beside(choice, remade);
}

Takes Estimator::estimate(const Choice& choice) const {
  const Line &first = recompute_.at(choice.first.bits()), &rest = recompute_.at(choice.rest.bits());
  const double share = double(choice.first_layers) / layers_;
  Takes takes;
  takes.add(first.fixed, share).add(rest.fixed, 1 - share);
  if (share > 0 && share < 1) takes.device = std::max(first.fixed.device, rest.fixed.device);
  takes.add(first.layer, choice.first_layers).add(rest.layer, layers_ - choice.first_layers);
  takes.add(head_.at(choice.head_chunks), 1).add(attention_.at(choice.attention_chunks), 1);
  if (choice.remade) takes.add(remade_.fixed, 1).add(remade_.layer, layers_);
  for (size_t kind = 0; kind < kOffloadCount; ++kind) {
    const uint32_t n = choice.offloaded[kind];
    if (n == 0) continue;
    if (Offload(kind) == Offload::residuals) {
      add_residuals(choice, takes);
      continue;
    }
    const Line& line = choice.remade && Offload(kind) == Offload::parameters ? remade_parameters_ : offload_[kind];
    takes.add(line.fixed, 1).add(line.layer, std::min(n, layers_));
    if (n > layers_) takes.add(outside_[kind], 1);
  }
  return takes;
}

void Estimator::add_residuals(const Choice& choice, Takes& takes) const {
  constexpr size_t kResiduals = size_t(Offload::residuals);
  const double n = std::min(choice.offloaded[kResiduals], layers_), share = double(choice.first_layers) / layers_;
  const EnumSet<Recompute> block{Recompute::block};
  const double blocks = (choice.first == block ? share : 0) + (choice.rest == block ? 1 - share : 0);
  const Line& plain = offload_[kResiduals];
  takes.add(plain.fixed, 1 - blocks).add(block_residuals_.fixed, blocks);
  takes.add(plain.layer, n * (1 - blocks)).add(block_residuals_.layer, n * blocks);
}

}  // namespace tandem
