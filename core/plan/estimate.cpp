#include "core/plan/estimate.h"

#include <algorithm>
#include <map>

#include "core/base/parallel.h"

namespace tandem {
namespace {

// Models of this many layers, and of one more, are sampled; of twice as many where copies run one layer ahead. Fewer:
// the first and the last layer, which differ from the others, weigh too much. More: sampling takes longer.
constexpr uint32_t kFewLayers = 2;

Usage difference(Usage a, const Usage& b) {
  return a.add(b, -1);
}

}  // namespace

Estimator::Estimator(const PlanRequest& request, const Estimator* other)
    : request_(request),
      layers_(request.model.layers),
      knobs_(knobs_of(request)),
      effects_(knobs_, sample_all(other),
               [this](size_t knob, const Choice& choice) { return effect_of(knob, choice); }) {}

// What does not depend on the batch is the other's; what grows with it is scaled.
void Estimator::take_over(const Estimator& other) {
  const double times = double(request_.shape.micro_batch) / other.request_.shape.micro_batch;
  if (times == 1) samples_ = other.samples_, known_ = other.known_;
  for (const auto& [part, line] : other.changes_) {
    const Knob& knob = knobs_[part.first];
    if (knob.by_batch && knob.acts != Knob::Acts::spread && times != 1) continue;
    Line& own = changes_[part];
    own.fixed.add(line.fixed, knob.by_batch ? times : 1);
    own.layer.add(line.layer, knob.by_batch ? times : 1);
  }
  for (const auto& [part, usage] : other.outside_)
    if (!knobs_[part.first].by_batch || times == 1) outside_[part] = usage;
}

// Samples each value alone, which all searches ask for.
Usage Estimator::sample_all(const Estimator* other) {
  if (other) take_over(*other);
  std::vector<Model> models;
  const auto add = [&](const Choice& choice, uint32_t layers) {
    for (const uint32_t more : {0, 1}) models.push_back(model_of(choice, layers + more));
  };
  add(base(), few_layers(base()));
  for (size_t k = 0; k < knobs_.size(); ++k) {
    const Knob& knob = knobs_[k];
    if (knob.in_steps) continue;  // seldom all
    const size_t values = knob.counts() ? std::min<size_t>(layers_, knob.values.size() - 1) : knob.values.size() - 1;
    for (size_t v = knob.counts() ? values : 1; v > 0 && v <= values; ++v) {
      Choice choice = base();
      choice[k] = knob.values[v];
      if (changes_.contains({k, choice}) || outside_.contains({k, choice})) continue;
      add(choice, few_layers(choice));
      add(base(), few_layers(choice));
    }
  }
  sample(models);
  const Line line = line_of(base(), few_layers(base()));
  return Usage(line.fixed).add(line.layer, layers_);
}

Choice Estimator::base() const {
  Choice choice;
  for (const Knob& knob : knobs_) choice.push_back(knob.values.front());
  return choice;
}

// Returns how many layers a sample has, so that prefetches run ahead as in a whole model.
uint32_t Estimator::few_layers(const Choice& choice) const {
  const MemoryPolicy policy = model_of(choice, kFewLayers).policy;
  const bool copies = !policy.offload.empty() || !policy.offload_outside.empty();
  const uint32_t few = kFewLayers * (copies ? 1 + std::max(1u, policy.prefetch_distance) : 1);
  return std::min(few, std::max(1u, layers_ - 1));
}

// What acts in some layers acts in all of a small model.
Estimator::Model Estimator::model_of(const Choice& choice, uint32_t layers) const {
  Choice small = choice;
  for (size_t k = 0; k < knobs_.size(); ++k)
    if (knobs_[k].counts()) small[k] = choice[k] > layers_ ? layers + 1 : choice[k] > 0 ? layers : 0;
  return {policy_of(knobs_, small, layers), layers};
}

void Estimator::sample(const std::vector<Model>& models) const {
  std::vector<Model> fresh;
  for (const Model& model : models)
    if (std::ranges::find(fresh, model) == fresh.end() &&
        std::ranges::find(samples_, model, &std::pair<Model, Usage>::first) == samples_.end())
      fresh.push_back(model);
  std::vector<Usage> usages(fresh.size());
  parallel_for(fresh.size(), 1, [&](uint64_t first, uint64_t last) {
    for (uint64_t i = first; i < last; ++i) {
      const StepSpec smaller = with_layers(request_, 0, fresh[i].layers);  // as if all had adapters, where any has
      const Compiled compiled =
          compile_step(smaller, fresh[i].policy, without_budget(request_.target), Checks::without);
      usages[i] = tandem::usage_of(compiled, request_.target);
    }
  });
  for (size_t i = 0; i < fresh.size(); ++i) samples_.emplace_back(std::move(fresh[i]), usages[i]);
}

const Usage& Estimator::usage_of(const Choice& choice, uint32_t layers) const {
  const Model model = model_of(choice, layers);
  sample({model});
  return std::ranges::find(samples_, model, &std::pair<Model, Usage>::first)->second;
}

Estimator::Line Estimator::line_of(const Choice& choice, uint32_t layers) const {
  sample({model_of(choice, layers), model_of(choice, layers + 1)});
  Line line{usage_of(choice, layers), difference(usage_of(choice, layers + 1), usage_of(choice, layers))};
  line.fixed.add(line.layer, -double(layers));
  // What a small model waits where copies outlast compute is a stall: a whole one that copies in some layers need not.
  for (Usage::Busy& part : line.layer.parts)
    if (part.beside() > part.compute) std::swap(part.latency, part.stall);
  return line;
}

Choice Estimator::without(Choice choice, size_t knob) const {
  choice[knob] = knobs_[knob].values.front();
  return choice;
}

// Returns a bit per knob that acts in the layer: the knob's own first, then those of the knobs with it, the last one
// lowest.
uint32_t Estimator::acting(size_t knob, const Choice& choice, uint32_t layer) const {
  uint32_t bits = 0;
  const auto add = [&](size_t k) {
    bits = bits << 1 | uint32_t(!knobs_[k].counts() || knobs_[k].acts_in(layer, choice[k], layers_));
  };
  add(knob);
  for (const Knob::With& with : knobs_[knob].with) add(with.knob);
  return bits;
}

// Returns the choice whose layers all do what the knob and those with it do in a layer where those of bits act.
Choice Estimator::part_of(size_t knob, const Choice& choice, uint32_t bits) const {
  Choice part = base();
  const std::vector<Knob::With>& with = knobs_[knob].with;
  const auto set = [&](size_t k, uint32_t mask, size_t bit) {
    part[k] = !knobs_[k].counts() ? choice[k] & mask : (bits >> bit & 1) != 0 ? layers_ : 0;
  };
  set(knob, ~0u, with.size());
  for (size_t i = 0; i < with.size(); ++i) set(with[i].knob, with[i].mask, with.size() - 1 - i);
  return part;
}

// Returns what the part changes per layer, beside what the knobs with it do without it.
const Estimator::Line& Estimator::change_of(const Part& part) const {
  const auto [found, fresh] = changes_.try_emplace(part);
  if (!fresh) return found->second;
  const auto& [knob, with] = part;
  const Choice alone = without(with, knob);
  if (model_of(with, kFewLayers) == model_of(alone, kFewLayers)) return found->second;
  const uint32_t few = few_layers(with);
  sample({model_of(with, few), model_of(with, few + 1), model_of(alone, few), model_of(alone, few + 1)});
  const Line a = line_of(with, few), b = line_of(alone, few);
  return found->second = {difference(a.fixed, b.fixed), difference(a.layer, b.layer)};
}

// Returns what a knob's value changes outside of layers, where all layers have it too.
const Usage& Estimator::change_outside(const Part& part) const {
  const auto [found, fresh] = outside_.try_emplace(part);
  if (!fresh) return found->second;
  const auto& [knob, with] = part;
  Choice less = with;
  less[knob] = knobs_[knob].counts() ? layers_ : knobs_[knob].values.front();
  const uint32_t few = few_layers(with);
  sample({model_of(with, few), model_of(less, few)});
  return found->second = difference(usage_of(with, few), usage_of(less, few));
}

Usage Estimator::effect_of(size_t knob, const Choice& choice) const {
  using Acts = Knob::Acts;
  const Acts acts = knobs_[knob].acts;
  Usage effect;
  if (acts == Acts::outside || (acts == Acts::spread && choice[knob] > layers_)) {
    Choice part = part_of(knob, choice, 0);
    part[knob] = choice[knob];
    effect = change_outside({knob, part});
    if (acts == Acts::outside) return effect;
  }
  std::map<uint32_t, uint32_t> layers_by_bits;
  for (uint32_t layer = 0; layer < layers_; ++layer) ++layers_by_bits[acting(knob, choice, layer)];
  const double all = acts == Acts::spread ? std::min(choice[knob], layers_) : layers_;
  for (const auto& [bits, layers] : layers_by_bits) {
    if (bits >> knobs_[knob].with.size() == 0) continue;
    const Choice part = part_of(knob, choice, bits);
    const Line& change = change_of({knob, part});
    effect.add(change.fixed, layers / all).add(change.layer, layers);
    if (acts != Acts::first || layers == layers_) continue;
    // In the last layer of all what came before it is alive, and in the last one of the first.
    effect.inside -= layers / all * change.fixed.inside;
    const Line whole = line_of(part, few_layers(part));
    double last = effects_.base().inside + effect.inside;
    for (const Knob::With& with : knobs_[knob].with) last += effects_.of(with.knob, choice).inside;
    effect.inside += std::max(0.0, whole.fixed.inside + layers * whole.layer.inside - last);
  }
  return effect;
}

std::shared_ptr<Estimates> no_estimates() {
  return std::make_shared<Estimates>();
}

const Estimator& Estimates::of(const PlanRequest& request) {
  const Release release = release_of(request);
  const auto key = [&](bool coarse) { return Key{release, request.shape.micro_batch, coarse}; };
  if (const auto made = all_.find(key(request.coarse)); made != all_.end()) return *made->second;
  auto from = all_.find(key(!request.coarse));
  if (from == all_.end() && last_.contains(release)) from = all_.find(last_.at(release));
  auto made = from == all_.end() ? std::make_unique<const Estimator>(request)
                                 : std::make_unique<const Estimator>(request, *from->second);
  last_[release] = key(request.coarse);
  return *(all_[key(request.coarse)] = std::move(made));
}

}  // namespace tandem
