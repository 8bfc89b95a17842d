#include "core/plan/estimate.h"

#include <algorithm>
#include <map>

#include "core/base/parallel.h"

namespace tandem {
namespace {

// Models of this many layers, and of one more, are sampled. Where something is offloaded: as many as prefetches by one
// layer need to run ahead as in a whole one.
constexpr uint32_t kFewLayers = 2;
constexpr uint32_t kLayersWithCopies = 4;
constexpr uint64_t kUnlimited = uint64_t{1} << 62;

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

uint32_t layers_with_copies(uint32_t distance) {
  return kLayersWithCopies + 2 * (std::max(distance, 1u) - 1);
}

bool is_transient(const Root& root) {
  return !root.persistent && !root.host;
}

void add_peaks(const Compiled& compiled, Takes& takes) {
  std::array<std::vector<bool>, kRangeCount> in_layer, forward;  // by position
  for (const Node& node : compiled.graph.nodes()) {
    in_layer[size_t(node.range)].push_back(node.tag.layer != kNoLayer);
    forward[size_t(node.range)].push_back(node.tag.phase == Phase::forward);
  }
  const LiveBytes made(compiled.storage, [](const Root& r) { return is_transient(r) && !r.staging; });
  const LiveBytes copied(compiled.storage, [](const Root& r) { return is_transient(r) && r.staging; });
  for (size_t r = 0; r < kRangeCount; ++r) {
    const uint32_t positions = uint32_t(in_layer[r].size());
    const auto at = [&](bool layer) { return [&, layer](uint32_t p) { return in_layer[r][p] == layer; }; };
    takes.outside = std::max(takes.outside, made.most(Range(r), positions, at(false)));
    takes.inside = std::max(takes.inside, made.most(Range(r), positions, at(true)));
    takes.staging[r] = copied.most(Range(r), positions, [&](uint32_t p) { return forward[r][p]; });
    if (Range(r) == Range::micro_step)
      takes.staging[Takes::kBackward] = copied.most(Range(r), positions, [&](uint32_t p) { return !forward[r][p]; });
  }
}

Takes::Busy busy_of(const ProgramCost& cost) {
  const double copies = cost.of(CostKind::copy).seconds;
  double all = 0;
  for (const KindCost& c : cost.kinds) all += c.seconds;
  Takes::Busy busy{all - copies, cost.link_in, cost.link_out, 0};
  busy.latency = cost.seconds - std::max({busy.compute, busy.in, busy.out});
  return busy;
}

}  // namespace

Takes& Takes::add(const Takes& other, double times) {
  fixed += times * other.fixed;
  outside += times * other.outside;
  inside += times * other.inside;
  host += times * other.host;
  for (size_t r = 0; r < ranges.size(); ++r) ranges[r].add(other.ranges[r], times);
  for (size_t r = 0; r < staging.size(); ++r) staging[r] += times * other.staging[r];
  return *this;
}

void Takes::Busy::add(const Busy& other, double times) {
  compute += times * other.compute;
  in += times * other.in;
  out += times * other.out;
  latency += times * other.latency;
}

double Takes::device() const {
  return fixed + std::max(outside, inside) + std::max(0.0, *std::ranges::max_element(staging));
}

double Takes::seconds(uint32_t accumulation) const {
  const auto range = [](const Busy& b) { return std::max({b.compute, b.in, b.out}) + std::max(0.0, b.latency); };
  return range(ranges[0]) + accumulation * range(ranges[1]) + range(ranges[2]);
}

Target without_budget(Target target) {
  target.memory_bytes = kUnlimited;
  target.host_memory_bytes = 0;
  return target;
}

Takes takes_of(const Compiled& compiled, const Target& target) {
  Takes takes;
  takes.host = double(compiled.memory.host_bytes);
  std::array<uint32_t, kRangeCount> times{};
  for (const Turns& turns : compiled.program.schedule) times[size_t(turns.turn.range)] += turns.times;
  for (const Turns& turns : compiled.program.schedule) {
    const size_t r = size_t(turns.turn.range);
    takes.ranges[r].add(busy_of(cost_of(compiled.program, turns.turn, target.rates)), double(turns.times) / times[r]);
  }
  add_peaks(compiled, takes);
  takes.fixed = double(device_bytes(compiled.memory, target)) - takes.device();
  return takes;
}

Estimator::Estimator(const PlanRequest& request) : request_(request), layers_(request.model.layers) {
  base_.recompute(recompute_sets(request.limits, request.coarse).front());
  // as many chunks as keep logits below what a layer's ffn takes, so that the head is not what holds most; more of them
  // would take long to compile
  const std::vector<uint32_t> heads = head_chunk_counts(request);
  const uint32_t enough = request.model.vocabulary / std::max(1u, request.model.ffn) + 1;
  const auto base_heads = std::ranges::find_if(heads, [&](uint32_t n) { return n >= enough; });
  base_.head_chunks = base_heads == heads.end() ? heads.back() : *base_heads;
  base_.attention_chunks = attention_chunk_counts(request).front();
  sample_activations();
  whole_ = line(base_, kLayersWithCopies);
  count_overlaps();
  const auto beside_base = [&](bool may, uint32_t remade) {
    if (!may) return Line{};
    Choice choice = base_;
    choice.transposed = remade == 0;
    choice.remade = remade;
    return beside(line(choice, kLayersWithCopies), whole_);
  };
  transposed_ = beside_base(may_transpose(request), 0);
  remade_ = beside_base(may_remake(request), layers_);
}

Estimator::Estimator(const PlanRequest& request, const Estimator& other)
    : request_(request),
      layers_(other.layers_),
      base_(other.base_),
      whole_(other.whole_),
      remade_(other.remade_),
      transposed_(other.transposed_),
      overlaps_(other.overlaps_),
      moved_(other.moved_),
      block_residuals_(other.block_residuals_),
      remade_parameters_(other.remade_parameters_) {
  const std::vector<uint32_t> heads = head_chunk_counts(request);
  base_.recompute(recompute_sets(request.limits, request.coarse).front());
  if (std::ranges::find(heads, base_.head_chunks) == heads.end()) base_.head_chunks = heads.back();
  base_.attention_chunks = attention_chunk_counts(request).front();
  sample_activations();
  const double times = double(request.shape.micro_batch) / other.request_.shape.micro_batch;
  const auto scale = [times](Line& line) {
    line.fixed.add(line.fixed, times - 1);
    line.layer.add(line.layer, times - 1);
  };
  for (auto& [key, moved] : moved_)
    if (std::get<Offload>(key) == Offload::residuals) scale(moved.layers);
  for (auto& [distance, line] : block_residuals_) scale(line);
}

// what depends on the micro_batch, but for residuals that are offloaded
void Estimator::sample_activations() {
  const std::vector<EnumSet<Recompute>> sets = recompute_sets(request_.limits, request_.coarse);
  const std::vector<uint32_t> heads = head_chunk_counts(request_), attention = attention_chunk_counts(request_);
  const uint32_t layers = few(kFewLayers);
  std::vector<Sample> samples;
  for (const EnumSet<Recompute> set : sets)
    for (const uint32_t n : {layers, layers + 1}) samples.push_back({base_, n}), samples.back().choice.recompute(set);
  const auto add_others = [&](const std::vector<uint32_t>& counts, uint32_t Choice::*count) {
    for (const uint32_t n : counts)
      if (n != base_.*count) samples.push_back({base_, layers}), samples.back().choice.*count = n;
  };
  add_others(heads, &Choice::head_chunks);
  add_others(attention, &Choice::attention_chunks);
  const std::vector<Takes> takes = sample_all(samples);
  auto next = takes.begin();
  for (const EnumSet<Recompute> set : sets) {
    recompute_[set.bits()] = line(next[0], next[1], layers);
    next += 2;
  }
  const Takes base = at(recompute_.at(base_.rest.bits()), layers);
  for (const uint32_t n : heads) head_[n] = n == base_.head_chunks ? Takes{} : difference(*next++, base);
  for (const uint32_t n : attention) attention_[n] = n == base_.attention_chunks ? Takes{} : difference(*next++, base);
}

// layers: of the sampled model
Takes Estimator::sample(const Choice& choice, uint32_t layers) const {
  const StepSpec smaller = with_layers(request_, 0, layers);  // as if all layers had adapters, where any has
  return takes_of(compile_step(smaller, policy_of(of_layers(choice, layers_, layers), layers, release()),
                               without_budget(request_.target), Checks::without),
                  request_.target);
}

std::vector<Takes> Estimator::sample_all(const std::vector<Sample>& samples) const {
  std::vector<Takes> takes(samples.size());
  parallel_for(samples.size(), 1, [&](uint64_t first, uint64_t last) {
    for (uint64_t i = first; i < last; ++i) takes[i] = sample(samples[i].choice, samples[i].layers);
  });
  return takes;
}

Takes Estimator::at(const Line& line, uint32_t layers) {
  Takes takes = line.fixed;
  return takes.add(line.layer, layers);
}

Estimator::Line Estimator::line(const Choice& choice, uint32_t fewer) const {
  const uint32_t layers = few(fewer);
  const std::vector<Takes> takes = sample_all({{choice, layers}, {choice, layers + 1}});
  return line(takes[0], takes[1], layers);
}

Estimator::Line Estimator::line(const Takes& fewer, const Takes& more, uint32_t layers) {
  Line line{fewer, difference(more, fewer)};
  line.fixed.add(line.layer, -double(layers));
  return line;
}

Estimator::Line Estimator::beside(const Line& with, const Line& without) {
  return {difference(with.fixed, without.fixed), difference(with.layer, without.layer)};
}

const Estimator::Moved& Estimator::moved(Offload kind, uint32_t distance, bool zero_copy, bool transposed) const {
  const auto [found, fresh] = moved_.try_emplace({kind, distance, zero_copy, transposed});
  if (!fresh) return found->second;
  Choice choice = base_;
  choice.offloaded[size_t(kind)] = layers_;
  choice.distance = choice.update_distance = distance;
  if (zero_copy) choice.zero_copy.insert(kind);
  choice.transposed = transposed;
  const Line with = line(choice, layers_with_copies(distance));
  found->second.layers = beside(with, whole_);
  if (transposed) found->second.layers = beside(found->second.layers, transposed_);
  if (is_in_layers_alone(kind)) return found->second;
  choice.offloaded[size_t(kind)] = layers_ + 1;
  const uint32_t layers = std::min(layers_with_copies(distance), layers_);
  found->second.outside = difference(sample(choice, layers), at(with, layers));
  return found->second;
}

const Estimator::Line& Estimator::block_residuals(uint32_t distance) const {
  const auto [found, fresh] = block_residuals_.try_emplace(distance);
  if (!fresh) return found->second;
  Choice choice = base_;
  choice.offloaded[size_t(Offload::residuals)] = layers_;
  choice.distance = choice.update_distance = distance;
  choice.recompute({Recompute::block});
  return found->second = beside(line(choice, layers_with_copies(distance)), recompute_.at(choice.rest.bits()));
}

// What remaking the copies does is alike under any recompute set, but not when parameters are offloaded.
const Estimator::Line& Estimator::remade_parameters(uint32_t distance) const {
  const auto [found, fresh] = remade_parameters_.try_emplace(distance);
  if (!fresh) return found->second;
  Choice choice = base_;
  choice.remade = choice.offloaded[size_t(Offload::parameters)] = layers_;
  choice.distance = choice.update_distance = distance;
  return found->second = beside(beside(line(choice, layers_with_copies(distance)), whole_), remade_);
}

void Estimator::count_overlaps() {
  for (uint32_t n = 0; n <= layers_; ++n)
    for (uint32_t m = 0; m <= layers_; ++m) {
      overlaps_.push_back(0);
      for (uint32_t layer = 0; layer < layers_; ++layer)
        overlaps_.back() += is_chosen(layer, n, layers_) && is_chosen(layer, m, layers_);
    }
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
  if (choice.remade > 0) takes.add(remade_.fixed, double(choice.remade) / layers_).add(remade_.layer, choice.remade);
  if (const uint32_t rest = layers_ - choice.remade; choice.transposed && rest > 0)
    takes.add(transposed_.fixed, double(rest) / layers_).add(transposed_.layer, rest);
  for (size_t kind = 0; kind < kOffloadCount; ++kind)
    if (choice.offloaded[kind] > 0) takes.add(offloaded(choice, Offload(kind)), 1);
  return takes;
}

const Takes& Estimator::offloaded(const Choice& choice, Offload kind) const {
  const EnumSet<Recompute> block{Recompute::block};
  uint64_t key = size_t(kind);
  const auto join = [&key](uint32_t bits, uint64_t value) { key = key << bits | value; };
  join(1, choice.zero_copy.contains(kind));
  join(4, choice.distance);
  join(4, choice.update_distance);
  join(16, choice.offloaded[size_t(kind)]);
  if (kind == Offload::parameters || kind == Offload::copies) join(16, choice.remade);
  if (kind == Offload::copies) join(1, choice.transposed);
  if (kind == Offload::residuals)
    join(16, choice.first_layers), join(1, choice.first == block), join(1, choice.rest == block);
  const auto found = offloaded_.find(key);
  return found != offloaded_.end() ? found->second : offloaded_[key] = offloaded_anew(choice, kind);
}

// For what layers use, begin and update take what the distance there makes of them.
Takes Estimator::offloaded_anew(const Choice& choice, Offload kind) const {
  const bool in_layers = !is_state(kind) || release() != Release::none, in_update = kind != Offload::residuals;
  Takes takes = offloaded(choice, kind, in_layers ? choice.distance : choice.update_distance);
  if (!in_layers || !in_update || choice.distance == choice.update_distance) return takes;
  const Takes other = offloaded(choice, kind, choice.update_distance);
  for (const size_t r : {size_t(Range::begin), size_t(Range::update)}) {
    takes.ranges[r] = other.ranges[r];
    takes.staging[r] = other.staging[r];
  }
  return takes;
}

Takes Estimator::offloaded(const Choice& choice, Offload kind, uint32_t distance) const {
  if (kind == Offload::residuals) return offloaded_residuals(choice, distance);
  if (kind == Offload::parameters) return offloaded_parameters(choice, distance);
  if (kind == Offload::copies) return offloaded_copies(choice, distance);
  const bool zero_copy = choice.zero_copy.contains(kind);
  const Moved& all = moved(kind, zero_copy ? 1 : distance, zero_copy);
  const uint32_t n = choice.offloaded[size_t(kind)];
  Takes takes = at(all.layers, std::min(n, layers_));
  return n > layers_ ? takes.add(all.outside, 1) : takes;
}

// where they are read in layers, too, or in begin and update alone
Takes Estimator::offloaded_parameters(const Choice& choice, uint32_t distance) const {
  const uint32_t all = choice.offloaded[size_t(Offload::parameters)], n = std::min(all, layers_);
  const uint32_t both = overlaps_[n * (layers_ + 1) + choice.remade];
  const double share = double(both) / n;
  const Moved& kept = moved(Offload::parameters, distance);
  Takes takes;
  takes.add(kept.layers.fixed, 1 - share).add(kept.layers.layer, n - both);
  if (both > 0) {
    const Line& remade = remade_parameters(distance);
    takes.add(remade.fixed, share).add(remade.layer, both);
  }
  return all > layers_ ? takes.add(kept.outside, 1) : takes;
}

Takes Estimator::offloaded_copies(const Choice& choice, uint32_t distance) const {
  const uint32_t all = choice.offloaded[size_t(Offload::copies)];
  const uint32_t n = all - overlaps_[all * (layers_ + 1) + choice.remade];
  const Line& moving = moved(Offload::copies, distance, false, choice.transposed).layers;
  return Takes{}.add(moving.fixed, double(n) / all).add(moving.layer, n);
}

Takes Estimator::offloaded_residuals(const Choice& choice, uint32_t distance) const {
  const double n = std::min(choice.offloaded[size_t(Offload::residuals)], layers_);
  const double share = double(choice.first_layers) / layers_;
  const EnumSet<Recompute> block{Recompute::block};
  const double blocks = (choice.first == block ? share : 0) + (choice.rest == block ? 1 - share : 0);
  const Line& plain = moved(Offload::residuals, distance).layers;
  Takes takes;
  takes.add(plain.fixed, 1 - blocks).add(plain.layer, n * (1 - blocks));
  if (blocks > 0) {
    const Line& whole = block_residuals(distance);
    takes.add(whole.fixed, blocks).add(whole.layer, n * blocks);
  }
  return takes;
}

}  // namespace tandem
