#include "core/plan/planner.h"

#include <doctest/doctest.h>

#include <functional>
#include <limits>

#include "core/plan/byte_table.h"
#include "core/plan/prediction.h"
#include "core/plan/search.h"
#include "tests/plan/shipped.h"
#include "tests/plan/small_request.h"

using namespace tandem;
using test::shipped_full;
using test::small_request;

namespace {

struct Measured {
  double seconds = 0, device = 0, host = 0;
};

constexpr uint32_t kMostDistance = 2;

// A policy as these tests enumerate them, apart from the planner's knobs: what the first layers do, what the rest do,
// how many layers offload what.
struct Combination {
  EnumSet<Recompute> first, rest;
  uint32_t first_layers = 0;
  std::array<uint32_t, kOffloadCount> offloaded{};  // layers; one more than all: what is outside of them too
  uint32_t head_chunks = 1, attention_chunks = 1;
  uint32_t remade = 0;      // layers whose fp8 copies are remade
  bool transposed = false;  // in the others
  EnumSet<Offload> zero_copy;
  uint32_t distance = 1, update_distance = 1;

  bool copies_in_layers() const {
    for (size_t kind = 0; kind < kOffloadCount; ++kind)
      if (!is_state(Offload(kind)) && offloaded[kind] > 0) return true;
    return false;
  }
  bool copies_in_update() const {
    for (size_t kind = 0; kind < kOffloadCount; ++kind)
      if (Offload(kind) != Offload::residuals && offloaded[kind] > 0 && !zero_copy.contains(Offload(kind))) return true;
    return false;
  }
};

// Spread evenly, so that copies are.
bool is_chosen(uint32_t layer, uint32_t n, uint32_t layers) {
  return uint64_t(layer + 1) * n / layers > uint64_t(layer) * n / layers;
}

MemoryPolicy policy_of(const Combination& c, uint32_t layers) {
  MemoryPolicy policy;
  for (uint32_t layer = 0; layer < layers; ++layer) {
    policy.recompute.push_back(layer < c.first_layers ? c.first : c.rest);
    EnumSet<Offload>& kinds = policy.offload.emplace_back();
    for (size_t kind = 0; kind < kOffloadCount; ++kind)
      if (is_chosen(layer, std::min(c.offloaded[kind], layers), layers)) kinds.insert(Offload(kind));
    const Copies rest = c.transposed ? Copies::transposed : Copies::kept;
    policy.copies.push_back(is_chosen(layer, c.remade, layers) ? Copies::remade : rest);
  }
  for (size_t kind = 0; kind < kOffloadCount; ++kind) {
    if (c.offloaded[kind] > layers) policy.offload_outside.insert(Offload(kind));
    if (c.offloaded[kind] > 0 && Offload(kind) != Offload::residuals) policy.optimizer_chunk = 1 << 24;
  }
  policy.lm_head_chunks = c.head_chunks;
  policy.attention_chunks = c.attention_chunks;
  policy.zero_copy = c.zero_copy;
  policy.prefetch_distance = c.distance;
  policy.update_distance = c.update_distance;
  return policy;
}

Measured measure(const PlanRequest& r, const MemoryPolicy& policy) {
  const Usage usage = usage_of(compile_step(r, policy, without_budget(r.target), Checks::without), r.target);
  return {usage.seconds(r.shape.accumulation), usage.device(), usage.host};
}

// The values that the planner's knob of that name has; none where there is no such knob.
std::vector<uint32_t> values_of(const PlanRequest& r, const std::string& knob) {
  const std::vector<Knob> knobs = knobs_of(r);
  const auto found = std::ranges::find(knobs, knob, &Knob::name);
  return found == knobs.end() ? std::vector<uint32_t>{} : found->values;
}

// Kinds of which there is a knob by that name.
std::vector<Offload> kinds_of(const PlanRequest& r, const std::string& knob) {
  const std::vector<std::string> words = offload_words(r);
  std::vector<Offload> kinds;
  for (size_t kind = 0; kind < kOffloadCount; ++kind)
    if (!words[kind].empty() && !values_of(r, knob + " " + words[kind]).empty()) kinds.push_back(Offload(kind));
  return kinds;
}

// The choice with each way to reach what it offloads.
void add_accesses(Combination c, const std::vector<Offload>& zero_copy, std::vector<Combination>& all) {
  for (uint32_t bits = 0; bits < 1u << zero_copy.size(); ++bits) {
    c.zero_copy = {};
    bool offloaded = true;
    for (size_t k = 0; k < zero_copy.size(); ++k) {
      if ((bits >> k & 1) == 0) continue;
      c.zero_copy.insert(zero_copy[k]);
      offloaded = offloaded && c.offloaded[size_t(zero_copy[k])] > 0;
    }
    if (!offloaded) continue;
    for (c.distance = 0; c.distance <= kMostDistance; ++c.distance)
      for (c.update_distance = 0; c.update_distance <= kMostDistance; ++c.update_distance)
        if ((c.distance == 1 || c.copies_in_layers()) && (c.update_distance == 1 || c.copies_in_update()))
          all.push_back(c);
  }
}

// Every policy within the limits.
std::vector<Combination> every_combination(const PlanRequest& r) {
  std::vector<Combination> all;
  const uint32_t layers = r.model.layers;
  const std::vector<Offload> kinds = kinds_of(r, "offload"), zero_copy = kinds_of(r, "read in place");
  const std::function<void(Combination, size_t)> offloads = [&](Combination c, size_t kind) {
    if (kind == kinds.size()) return add_accesses(c, zero_copy, all);
    for (uint32_t n = 0; n <= layers + (is_in_layers_alone(kinds[kind]) ? 0 : 1); ++n) {
      c.offloaded[size_t(kinds[kind])] = n;
      offloads(c, kind + 1);
    }
  };
  Combination c;
  for (const EnumSet<Recompute> first : recompute_sets(r.limits))
    for (const EnumSet<Recompute> rest : recompute_sets(r.limits))
      for (uint32_t first_layers = first == rest ? 0 : 1; first_layers < (first == rest ? 1 : layers); ++first_layers)
        for (const uint32_t head : head_chunk_counts(r))
          for (const uint32_t attention : values_of(r, "attention chunks"))
            for (uint32_t remade = 0; remade <= (r.precision.fp8() ? layers : 0); ++remade)
              for (const bool transposed : {false, true}) {
                if (transposed && (!may_transpose(r) || remade == layers)) continue;
                c = {first, rest, first_layers, {}, head, attention, remade, transposed};
                offloads(c, 0);
              }
  return all;
}

// Over several budgets: what the search finds is as fast as the fastest of all policies that fit, to the last bit;
// where nothing does, it takes as little as is possible.
void check_against_all(PlanRequest r, size_t count) {
  const std::vector<Combination> all = every_combination(r);
  REQUIRE(all.size() == count);
  std::vector<Measured> measured;
  for (const Combination& c : all) measured.push_back(measure(r, policy_of(c, r.model.layers)));
  double most = 0, least = std::numeric_limits<double>::infinity();
  for (const Measured& m : measured) most = std::max(most, m.device), least = std::min(least, m.device);
  for (const double share : {-0.01, 0.0, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0}) {
    r.target.memory_bytes = uint64_t(least + share * (most - least));
    double best = std::numeric_limits<double>::infinity();
    for (const Measured& m : measured)
      if (m.device <= double(r.target.memory_bytes)) best = std::min(best, m.seconds);
    const StepPlan plan = plan_step(r);
    CAPTURE(share);
    CAPTURE(plan.compiles);
    CAPTURE(to_string(plan.chosen.policy.recompute_of(0)));
    CAPTURE(to_string(plan.chosen.policy.offload_of(0), offload_words(r)));
    CHECK(plan.fits() == (share >= 0));
    if (plan.fits()) CHECK(plan.chosen.seconds() == doctest::Approx(best).epsilon(1e-12));
    CHECK(double(plan.chosen.device_bytes) <= std::max(least, double(r.target.memory_bytes)));
  }
}

}  // namespace

TEST_CASE("planner: the fastest of all policies that fit, recompute by layer") {
  PlanRequest r = small_request(3);
  r.precision.recipe = Recipe::bf16;
  r.limits.offload = EnumSet<Offload>{};
  r.limits.attention_chunks = 1;
  r.limits.lm_head_chunks = 4;
  check_against_all(r, 1035);
}

TEST_CASE("planner: the fastest of all policies that fit, offload by layer on three devices") {
  PlanRequest r = small_request(2);
  r.precision.recipe = Recipe::bf16;
  r.limits.recompute = EnumSet<Recompute>{};
  r.limits.offload = EnumSet<Offload>{offload_of_state(0), offload_of_state(1), Offload::gradients};
  r.limits.attention_chunks = 1;
  r.limits.lm_head_chunks = 4;
  check_against_all(r, 478);
  r.target.rates.host_to_device = 8e9;  // a link beside which the device is slow
  r.target.rates.device_to_host = 4e9;
  check_against_all(r, 478);
  r.target.queues = queues_of(1);
  r.model.tied = false;
  check_against_all(r, 478);
}

TEST_CASE("planner: the fastest of all policies that fit, chunks and copies") {
  PlanRequest r = small_request(2);
  r.limits.offload = EnumSet<Offload>{};
  r.limits.recompute = EnumSet<Recompute>{Recompute::block};
  check_against_all(r, 45);
}

TEST_CASE("planner: the fastest of all policies that fit, parameters, their copies and residuals") {
  PlanRequest r = small_request(2);
  r.limits.offload = EnumSet<Offload>{Offload::parameters, Offload::copies, Offload::residuals};
  r.limits.recompute = EnumSet<Recompute>{Recompute::norm, Recompute::ffn};
  r.limits.attention_chunks = 1;
  r.limits.lm_head_chunks = 2;
  check_against_all(r, 1520);
}

TEST_CASE("planner: the fastest of all policies that fit, states copied or read where they are") {
  PlanRequest r = small_request(2);
  r.precision.recipe = Recipe::bf16;
  r.limits.recompute = EnumSet<Recompute>{};
  r.limits.attention_chunks = 1;
  r.limits.lm_head_chunks = 4;
  for (const double rate : {0.3e9, 0.9e9, 3e9}) {
    r.target.rates.zero_copy = rate;
    r.limits.offload = EnumSet<Offload>{offload_of_state(0), offload_of_state(1)};
    check_against_all(r, 115);
    r.limits.offload = EnumSet<Offload>{offload_of_state(0), Offload::gradients};
    check_against_all(r, 202);
  }
}

TEST_CASE("planner: the fastest of all policies that fit, recompute by layer and copies") {
  PlanRequest r = small_request(2);
  r.model.ffn = 320;
  r.limits.offload = EnumSet<Offload>{};
  r.limits.attention_chunks = 2;
  r.limits.lm_head_chunks = 1;
  check_against_all(r, 2645);
}

TEST_CASE("planner: no other prefetch distance is faster for the chosen policy") {
  for (const auto& [name, device] :
       {std::pair{"qwen2.5-3b", "rtx-4090"}, {"qwen2.5-7b", "rtx-5060-ti-16gb"}, {"qwen2.5-0.5b", "rtx-3060-12gb"}}) {
    PlanRequest r = shipped_full(name, device, {"--precision.recipe=bf16"});
    const StepPlan plan = plan_step(r);
    REQUIRE(plan.fits());
    MemoryPolicy p = plan.chosen.policy;
    for (const auto& [layers, update] :
         {std::pair{0u, 1u}, {1u, 1u}, {2u, 1u}, {0u, 2u}, {1u, 2u}, {2u, 2u}, {1u, 3u}, {1u, 4u}}) {
      p.prefetch_distance = layers;
      p.update_distance = update;
      const Usage usage = usage_of(compile_step(r, p, without_budget(r.target), Checks::without), r.target);
      CAPTURE(std::string(name));
      CAPTURE(layers);
      CAPTURE(update);
      if (budget_of(r.target).holds(usage))
        CHECK(usage.seconds(r.shape.accumulation) >= (1 - 3e-4) * plan.chosen.seconds());
    }
  }
}

TEST_CASE("planner: states stay where they are when the Target says that reading them there is faster") {
  PlanRequest r = shipped_full("qwen2.5-3b", "rtx-4090");
  const StepPlan copies = plan_step(r);
  CHECK(copies.chosen.policy.zero_copy.empty());
  r.target.rates.zero_copy = 1e9;
  const StepPlan slower = plan_step(r);
  CHECK(slower.chosen.policy.zero_copy.empty());
  CHECK(slower.chosen.seconds() == doctest::Approx(copies.chosen.seconds()).epsilon(0.001));
  r.target.rates.zero_copy = 2 * r.target.rates.host_to_device;
  const StepPlan faster = plan_step(r);
  CHECK(faster.chosen.policy.zero_copy == EnumSet<Offload>{offload_of_state(0), offload_of_state(1)});
  CHECK(faster.chosen.seconds() < copies.chosen.seconds());
}

TEST_CASE("planner: more memory is never slower") {
  for (const auto& [name, sizes] : {std::pair{"qwen2.5-3b", std::vector{8, 12, 16, 20, 24, 32, 48}},
                                    std::pair{"qwen2.5-7b", std::vector{12, 16, 20, 24, 40}},
                                    std::pair{"qwen2.5-0.5b", std::vector{4, 6, 8, 12}}}) {
    PlanRequest r = shipped_full(name, "rtx-4090");
    double before = std::numeric_limits<double>::infinity();
    for (const int size : sizes) {
      r.target.memory_bytes = uint64_t(size) << 30;
      const StepPlan plan = plan_step(r);
      CAPTURE(std::string(name));
      CAPTURE(size);
      CHECK(plan.fits());
      CHECK(plan.chosen.seconds() <= before);
      before = plan.chosen.seconds();
    }
  }
}

TEST_CASE("planner: estimates from few layers are near what the whole model takes") {
  const PlanRequest r = small_request(12);
  const Estimator estimator(r);
  const std::vector<Knob>& knobs = estimator.knobs();
  const auto set_to = [&](Choice& choice, const std::string& knob, uint32_t value) {
    choice[std::ranges::find(knobs, knob, &Knob::name) - knobs.begin()] = value;
  };
  for (const EnumSet<Recompute> set : recompute_sets(r.limits))
    for (const Offload kind : {offload_of_state(0), Offload::gradients, Offload::parameters, Offload::residuals}) {
      Choice choice = estimator.base();
      set_to(choice, "recompute", set.bits());
      set_to(choice, "LM head chunks", head_chunk_counts(r).back());
      set_to(choice, "offload " + offload_words(r)[size_t(kind)], 12);
      const Measured whole = measure(r, policy_of(knobs, choice, r.model.layers));
      const Usage usage = estimator.estimate(choice);
      CAPTURE(to_string(set));
      CAPTURE(int(kind));
      CHECK(usage.device() == doctest::Approx(whole.device).epsilon(0.05));
      CHECK(usage.host == doctest::Approx(whole.host).epsilon(0.01));
      CHECK(usage.seconds(3) == doctest::Approx(whole.seconds).epsilon(0.05));
    }
}

TEST_CASE("planner: estimates taken over from another batch are those of this batch's own samples") {
  PlanRequest r = small_request(12);
  const Estimator other(r);
  r.shape.micro_batch *= 2;
  const Estimator taken(r, other), own(r);
  for (size_t k = 0; k < own.knobs().size(); ++k) {
    if (!own.knobs()[k].counts()) continue;
    Choice choice = own.base();
    choice[k] = 12;
    const Usage usage = taken.estimate(choice), expected = own.estimate(choice);
    CAPTURE(own.knobs()[k].name);
    CHECK(usage.device() == doctest::Approx(expected.device()).epsilon(0.01));
    CHECK(usage.host == doctest::Approx(expected.host).epsilon(0.001));
    CHECK(usage.seconds(3) == doctest::Approx(expected.seconds(3)).epsilon(0.03));
  }
}

TEST_CASE("planner: what is sampled does not grow with the batch") {
  PlanRequest r = small_request(2);
  r.model.vocabulary = 1 << 20;
  r.shape.micro_batch = 1 << 14;
  r.shape.head_chunks = choose_head_chunks(r.model, r.precision, r.shape);
  CHECK(r.shape.head_chunks > 1000);
  CHECK(values_of(r, "attention chunks").back() == kMostParts);
  r.target.largest_chunk = uint64_t{1} << 36;
  CHECK(values_of(r, "LM head chunks").front() <= std::max(kMostParts, head_chunk_counts(r).front()));
}

TEST_CASE("planner: the host's budget holds too") {
  PlanRequest r = small_request(6);
  r.limits.offload = EnumSet<Offload>{offload_of_state(0), offload_of_state(1)};
  r.limits.recompute = EnumSet<Recompute>{};
  const StepPlan free = plan_step(r);
  CHECK(free.chosen.policy.offload_of(0).empty());
  r.target.memory_bytes = free.chosen.device_bytes * 3 / 4;
  const StepPlan tight = plan_step(r);
  CHECK(tight.fits());
  CHECK(tight.chosen.host_bytes > free.chosen.host_bytes);
  r.target.host_memory_bytes = tight.chosen.host_bytes - 1;
  const StepPlan neither = plan_step(r);
  CHECK((!neither.fits() || neither.chosen.host_bytes <= r.target.host_memory_bytes));
  r.target.host_memory_bytes = free.chosen.host_bytes;
  CHECK_FALSE(plan_step(r).fits());
}

TEST_CASE("planner: a step's floor is that of the whole model without a policy") {
  PlanRequest r = small_request(7);
  r.limits.recompute = EnumSet<Recompute>{Recompute::block};
  MemoryPolicy none;
  none.lm_head_chunks = 1;
  const Compiled whole = compile_step(r, none, r.target);
  const ProgramCost cost = cost_of_step(whole.program, r.target.rates);
  const StepPlan plan = plan_step(r);
  CHECK(plan.floor.flops() == cost.flops());
  CHECK(plan.floor.floor() == doctest::Approx(cost.floor()).epsilon(1e-12));
  CHECK(plan.chosen.cost.flops() > cost.flops());

  const Prediction predicted = predict_step(plan, r.target.rates);
  CHECK(predicted.step == plan.chosen.seconds());
  CHECK(predicted.floor == plan.floor.floor());
  CHECK(predicted.products > 0);
  CHECK(predicted.products < predicted.floor);
  r.limits.recompute = EnumSet<Recompute>{};
  CHECK(predict_step(plan_step(r), r.target.rates).products == predicted.products);  // nothing counts twice
}

TEST_CASE("planner: rows of the byte table sum to the plan, under any policy") {
  const PlanRequest r = small_request(3);
  for (const EnumSet<Recompute> set : {EnumSet<Recompute>{}, EnumSet<Recompute>{Recompute::block}})
    for (const EnumSet<Offload> kinds :
         {EnumSet<Offload>{}, EnumSet<Offload>{offload_of_state(0), Offload::gradients, Offload::parameters}}) {
      Target target = r.target;
      target.reserve_bytes = 1000;
      target.workspace_bytes = 500;
      target.staging_bytes = 70;
      const Compiled compiled = compile_step(r, uniform_policy(set, kinds), target);
      uint64_t device = 0, host = 0;
      for (const ByteRow& row : byte_table(compiled, target, offload_words(r))) device += row.device, host += row.host;
      uint64_t arenas = 0;
      for (const Arena& arena : compiled.memory.arenas)
        if (arena.kind == ArenaKind::device) arenas += arena.bytes;
      CHECK(device == device_bytes(compiled.memory, target));
      CHECK(device == arenas + 1070);
      CHECK(host == compiled.memory.host_bytes);
      const Peak peak = peak_of(compiled);
      uint64_t alive = 0;
      for (const LiveValue& v : peak.alive) alive += v.bytes;
      CHECK(alive == peak.bytes);
      CHECK(alive > 0);
    }
}

TEST_CASE("planner: few whole models are compiled for 7B and 32B") {
  const StepPlan plan7 = plan_step(shipped_full("qwen2.5-7b", "rtx-5060-ti-16gb"));
  CHECK(plan7.fits());
  CHECK(plan7.compiles <= 40);
  const StepPlan plan32 = plan_step(shipped_full("qwen2.5-32b", "rtx-4090"));  // four ranks, as it is configured
  CHECK(plan32.compiles <= 40);
}
