#include "core/plan/estimate.h"

#include <algorithm>
#include <map>

namespace tandem {
namespace {

// Models of this many layers, and of one more, are sampled. Where something is offloaded: as many as prefetches need to
// run ahead as in a whole one.
constexpr uint32_t kFewLayers = 2;
constexpr uint32_t kLayersWithCopies = 4;
constexpr uint64_t kOptimizerChunk = uint64_t{1}
                                     << 24;  // elements of an AdamW instruction whose operands are offloaded
constexpr uint32_t kMostAttentionChunks = 64;
constexpr uint64_t kUnlimited = uint64_t{1} << 62;

using R = Recompute;

Takes difference(const Takes& a, const Takes& b) {
  Takes d = a;
  return d.add(b, -1);
}

// Bytes of live roots over the positions of each range.
class LiveBytes {
 public:
  template <typename Chosen>
  LiveBytes(const Storage& storage, const Chosen& chosen) {
    for (const Root& root : storage.roots)
      if (chosen(root)) {
        change_[size_t(root.live.range)][root.live.first] += double(root.bytes);
        change_[size_t(root.live.range)][root.live.last + 1] -= double(root.bytes);
      }
  }

  // the most of a range at positions that hold(position) is true of; the live bytes change at few of them
  template <typename Holds>
  double most(Range range, uint32_t positions, const Holds& holds) const {
    double live = 0, most = 0;
    auto next = change_[size_t(range)].begin();
    for (uint32_t at = 0; at < positions; ++at) {
      for (; next != change_[size_t(range)].end() && next->first <= at; ++next) live += next->second;
      if (live > most && holds(at)) most = live;
    }
    return most;
  }

 private:
  std::array<std::map<uint32_t, double>, kRangeCount> change_;
};

bool is_transient(const Root& root) {
  return !root.persistent && !root.host;
}

void add_peaks(const Compiled& compiled, Takes& takes) {
  std::array<std::vector<bool>, kRangeCount> in_layer;  // by position
  for (const Node& node : compiled.graph.nodes()) in_layer[size_t(node.range)].push_back(node.tag.layer != kNoLayer);
  const LiveBytes made(compiled.storage, [](const Root& r) { return is_transient(r) && !r.staging; });
  const LiveBytes copied(compiled.storage, [](const Root& r) { return is_transient(r) && r.staging; });
  for (size_t r = 0; r < kRangeCount; ++r) {
    const uint32_t positions = uint32_t(in_layer[r].size());
    const auto at = [&](bool layer) { return [&, layer](uint32_t p) { return in_layer[r][p] == layer; }; };
    takes.outside = std::max(takes.outside, made.most(Range(r), positions, at(false)));
    takes.inside = std::max(takes.inside, made.most(Range(r), positions, at(true)));
    if (r < takes.staging.size()) takes.staging[r] = copied.most(Range(r), positions, [](uint32_t) { return true; });
  }
}

// which of n layers out of all, spread evenly so that copies are
bool is_chosen(uint32_t layer, uint32_t n, uint32_t layers) {
  return uint64_t(layer + 1) * n / layers > uint64_t(layer) * n / layers;
}

// the last entry holds for the layers behind, and none at all is the empty one
template <typename T>
void shorten(std::vector<T>& by_layer) {
  while (by_layer.size() > 1 && by_layer[by_layer.size() - 2] == by_layer.back()) by_layer.pop_back();
  if (by_layer.size() == 1 && by_layer.front() == T{}) by_layer.clear();
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
  fixed += times * other.fixed;
  outside += times * other.outside;
  inside += times * other.inside;
  host += times * other.host;
  for (size_t r = 0; r < ranges.size(); ++r) {
    staging[r] += times * other.staging[r];
    ranges[r].compute += times * other.ranges[r].compute;
    ranges[r].in += times * other.ranges[r].in;
    ranges[r].out += times * other.ranges[r].out;
    ranges[r].latency += times * other.ranges[r].latency;
  }
  return *this;
}

double Takes::device() const {
  return fixed + std::max(outside, inside) + std::max(0.0, *std::ranges::max_element(staging));
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
  for (uint32_t layer = 0; choice.remade > 0 && layer < layers; ++layer)
    policy.copies.push_back(is_chosen(layer, choice.remade, layers) ? Copies::remade : Copies::with_parameters);
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

Target without_budget(Target target) {
  target.memory_bytes = kUnlimited;
  target.host_memory_bytes = 0;
  return target;
}

Takes takes_of(const Compiled& compiled, const Target& target) {
  Takes takes;
  takes.host = double(compiled.memory.host_bytes);
  for (size_t r = 0; r < takes.ranges.size(); ++r)
    takes.ranges[r] = busy_of(cost_of(compiled.program, Range(r), target.rates));
  add_peaks(compiled, takes);
  takes.fixed = double(device_bytes(compiled.memory, target)) - takes.device();
  return takes;
}

Estimator::Estimator(const PlanRequest& request) : request_(request), layers_(request.model.layers) {
  base_.first = base_.rest = recompute_sets(request.limits, request.coarse).front();
  // as many chunks as keep logits below what a layer's ffn takes, so that the head is not what holds most; more of them
  // would take long to compile
  const std::vector<uint32_t> heads = head_chunk_counts(request);
  const uint32_t enough = request.model.vocabulary / std::max(1u, request.model.ffn) + 1;
  const auto base_heads = std::ranges::find_if(heads, [&](uint32_t n) { return n >= enough; });
  base_.head_chunks = base_heads == heads.end() ? heads.back() : *base_heads;
  base_.attention_chunks = attention_chunk_counts(request).front();
  sample_activations();
  whole_ = line(base_, kLayersWithCopies);
  for (const Offload kind : offload_kinds(request.limits, request.precision)) sample_offload(kind);
  if (request.precision.fp8()) sample_remade();
}

Estimator::Estimator(const PlanRequest& request, const Estimator& other)
    : request_(request),
      layers_(other.layers_),
      base_(other.base_),
      whole_(other.whole_),
      offload_(other.offload_),
      outside_(other.outside_),
      block_residuals_(other.block_residuals_),
      remade_(other.remade_),
      remade_parameters_(other.remade_parameters_) {
  const std::vector<uint32_t> heads = head_chunk_counts(request);
  base_.first = base_.rest = recompute_sets(request.limits, request.coarse).front();
  if (std::ranges::find(heads, base_.head_chunks) == heads.end()) base_.head_chunks = heads.back();
  base_.attention_chunks = attention_chunk_counts(request).front();
  sample_activations();
  const double times = double(request.shape.micro_batch) / other.request_.shape.micro_batch;
  for (Line* line : {&offload_[size_t(Offload::residuals)], &block_residuals_}) {
    line->fixed.add(line->fixed, times - 1);
    line->layer.add(line->layer, times - 1);
  }
}

// what depends on the micro_batch, but for residuals that are offloaded
void Estimator::sample_activations() {
  for (const EnumSet<Recompute> set : recompute_sets(request_.limits, request_.coarse)) {
    Choice choice = base_;
    choice.first = choice.rest = set;
    recompute_[set.bits()] = line(choice, kFewLayers);
  }
  const Takes base = at(recompute_.at(base_.rest.bits()), kFewLayers);
  Choice choice = base_;
  for (const uint32_t n : head_chunk_counts(request_)) {
    choice.head_chunks = n;
    head_[n] = n == base_.head_chunks ? Takes{} : difference(sample(choice, kFewLayers), base);
  }
  choice = base_;
  for (const uint32_t n : attention_chunk_counts(request_)) {
    choice.attention_chunks = n;
    attention_[n] = n == base_.attention_chunks ? Takes{} : difference(sample(choice, kFewLayers), base);
  }
}

// layers: of the sampled model
Takes Estimator::sample(const Choice& choice, uint32_t layers) const {
  ModelConfig model = request_.model;
  model.layers = layers;
  return takes_of(compile_step(model, request_.precision, request_.optimizer, request_.shape,
                               policy_of(of_layers(choice, layers_, layers), layers), without_budget(request_.target),
                               Checks::without),
                  request_.target);
}

Takes Estimator::at(const Line& line, uint32_t layers) {
  Takes takes = line.fixed;
  return takes.add(line.layer, layers);
}

Estimator::Line Estimator::line(const Choice& choice, uint32_t fewer) const {
  fewer = std::min(fewer, std::max(1u, layers_ - 1));
  Line line{sample(choice, fewer), sample(choice, fewer + 1)};
  line.layer.add(line.fixed, -1);
  line.fixed.add(line.layer, -double(fewer));
  return line;
}

Estimator::Line Estimator::beside(const Line& with, const Line& without) {
  return {difference(with.fixed, without.fixed), difference(with.layer, without.layer)};
}

void Estimator::sample_offload(Offload kind) {
  Choice choice = base_;
  choice.offloaded[size_t(kind)] = layers_;
  const Line with = line(choice, kLayersWithCopies);
  offload_[size_t(kind)] = beside(with, whole_);
  if (kind == Offload::residuals) {
    choice.first = choice.rest = {Recompute::block};
    const auto block = recompute_.find(choice.rest.bits());
    if (block != recompute_.end()) block_residuals_ = beside(line(choice, kLayersWithCopies), block->second);
    return;  // there are none outside of the layers
  }
  Choice all = choice;
  all.offloaded[size_t(kind)] = layers_ + 1;
  outside_[size_t(kind)] = difference(sample(all, kLayersWithCopies), at(with, kLayersWithCopies));
}

// What remaking the copies does is alike under any recompute set, but not when parameters are offloaded.
void Estimator::sample_remade() {
  Choice choice = base_;
  choice.remade = layers_;
  const Line remade = line(choice, kLayersWithCopies);
  remade_ = beside(remade, whole_);
  choice.offloaded[size_t(Offload::parameters)] = layers_;
  remade_parameters_ = beside(line(choice, kLayersWithCopies), remade);
}

Takes Estimator::estimate(const Choice& choice) const {
  const Line &first = recompute_.at(choice.first.bits()), &rest = recompute_.at(choice.rest.bits());
  const double share = double(choice.first_layers) / layers_;
  Takes takes;
  takes.add(first.fixed, share).add(rest.fixed, 1 - share);
  takes.add(first.layer, choice.first_layers).add(rest.layer, layers_ - choice.first_layers);
  // in the last layer of each set what came before it is alive
  if (choice.first_layers > 0)
    takes.inside = std::max(rest.fixed.inside + choice.first_layers * first.layer.inside +
                                (layers_ - choice.first_layers) * rest.layer.inside,
                            first.fixed.inside + choice.first_layers * first.layer.inside);
  takes.add(head_.at(choice.head_chunks), 1).add(attention_.at(choice.attention_chunks), 1);
  for (size_t kind = 0; kind < kOffloadCount; ++kind) {
    const uint32_t n = choice.offloaded[kind];
    if (n == 0 || Offload(kind) == Offload::parameters || Offload(kind) == Offload::residuals) continue;
    takes.add(offload_[kind].fixed, 1).add(offload_[kind].layer, std::min(n, layers_));
    if (n > layers_) takes.add(outside_[kind], 1);
  }
  add_parameters(choice, takes);
  if (choice.offloaded[size_t(Offload::residuals)] > 0) add_residuals(choice, takes);
  return takes;
}

// with their copies, kept or remade
void Estimator::add_parameters(const Choice& choice, Takes& takes) const {
  constexpr size_t kParameters = size_t(Offload::parameters);
  if (choice.remade > 0) takes.add(remade_.fixed, double(choice.remade) / layers_).add(remade_.layer, choice.remade);
  if (choice.offloaded[kParameters] == 0) return;
  const uint32_t n = std::min(choice.offloaded[kParameters], layers_);
  uint32_t both = 0;
  for (uint32_t layer = 0; choice.remade > 0 && layer < layers_; ++layer)
    both += is_chosen(layer, n, layers_) && is_chosen(layer, choice.remade, layers_);
  const double share = double(both) / n;
  takes.add(offload_[kParameters].fixed, 1 - share).add(offload_[kParameters].layer, n - both);
  takes.add(remade_parameters_.fixed, share).add(remade_parameters_.layer, both);
  if (choice.offloaded[kParameters] > layers_) takes.add(outside_[kParameters], 1);
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
