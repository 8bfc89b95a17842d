// Several ranks train as one does, and every way of sharing gives the bits that it promises (docs/distributed.md).
#include "tests/golden/run.h"
#include "tests/support/rank_devices.h"
#include "tests/support/rank_threads.h"

namespace tandem::test {
namespace {

struct Outcome {
  std::vector<abi::StepReport> reports;
  State state;
  double evaluation = 0;
  std::vector<std::string> thrown;
};

constexpr uint64_t kSteps = 3;

Outcome train(const std::string& executor, const Golden& golden, const RunConfig& config, const Sharding& sharding,
              const MemoryPolicy& policy = {}) {
  std::vector<Outcome> outcomes(sharding.ranks);
  const auto body = [&](World& world) {
    const uint32_t rank = world.seat().rank;
    Outcome& mine = outcomes[rank];
    const std::unique_ptr<Backend> backend = open_for_rank(executor, rank);
    Run run(*backend, golden.model, config, policy, {sharding.ranks > 1 ? &world : nullptr, sharding});
    for (uint64_t s = 0; s < kSteps; ++s) mine.reports.push_back(run.step(s));
    mine.state = run.state();
  };
  Outcome root;
  root.thrown = run_ranks(local_worlds(sharding.ranks), body);
  for (const std::string& text : root.thrown) REQUIRE(text == "");
  for (const Outcome& o : outcomes)
    for (uint64_t s = 0; s < kSteps; ++s) {
      CHECK(o.reports[s].loss == outcomes[0].reports[s].loss);
      CHECK(o.reports[s].grad_norm == outcomes[0].reports[s].grad_norm);
      CHECK(o.reports[s].updates == s + 1);
    }
  root.reports = outcomes[0].reports;
  root.state = std::move(outcomes[0].state);
  return root;
}

void check_same(const Outcome& a, const Outcome& b) {
  for (uint64_t s = 0; s < kSteps; ++s) {
    CHECK(a.reports[s].loss == b.reports[s].loss);
    CHECK(a.reports[s].grad_norm == b.reports[s].grad_norm);
  }
  REQUIRE(a.state.size() == b.state.size());
  for (size_t i = 0; i < a.state.size(); ++i) {
    INFO(a.state[i].first);
    CHECK(a.state[i] == b.state[i]);
  }
}

const std::vector<std::string> k8bitStates{"--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"};

RunConfig config_of(const Golden& golden, const std::string& recipe, uint32_t micro_batch, uint32_t accumulation,
                    std::vector<std::string> overrides = {}) {
  overrides.insert(overrides.end(), {"--precision.recipe=" + recipe, fmt::format("--batch.micro_batch={}", micro_batch),
                                     fmt::format("--batch.gradient_accumulation={}", accumulation)});
  return golden.config(overrides);
}

double tolerance(const std::string& recipe) {
  return recipe == "fp32" ? 1e-6 : recipe == "bf16" ? 1e-3 : 2e-2;
}

// R ranks with A micro-steps against one rank with R * A: the same windows in the same micro-steps.
void trains_as_one(const std::string& executor, const std::string& name, const std::string& recipe, Sharding sharding,
                   uint32_t accumulation) {
  const Golden golden(name);
  const Outcome one = train(executor, golden, config_of(golden, recipe, 2, sharding.ranks * accumulation), {});
  const Outcome all = train(executor, golden, config_of(golden, recipe, 2, accumulation), sharding);
  for (uint64_t s = 0; s < kSteps; ++s) {
    INFO(executor, " ", name, " ", recipe, " step ", s, " loss ", all.reports[s].loss, " and ", one.reports[s].loss);
    CHECK(relative_difference(all.reports[s].loss, one.reports[s].loss) < tolerance(recipe) * (s == 0 ? 1 : 3));
    CHECK(relative_difference(all.reports[s].grad_norm, one.reports[s].grad_norm) <
          10 * tolerance(recipe) * (s == 0 ? 1 : 3));
  }
}

TEST_CASE("ranks train as one does on host") {
  for (const char* golden : kGoldens)
    for (const char* recipe : {"fp32", "bf16"}) trains_as_one("host", golden, recipe, {.ranks = 2}, 2);
  trains_as_one("host", "qwen2", "fp8", {.ranks = 2}, 2);
}

// Rows of 32 features on eight ranks: most of them have padding alone.
TEST_CASE("eight ranks train as one does on host") {
  for (uint32_t zero : {1u, 3u}) trains_as_one("host", "qwen2", "bf16", {.ranks = 8, .zero = zero}, 1);
}

TEST_CASE("ranks train an adapter as one does on host") {
  for (const char* golden : kLoraGoldens) trains_as_one("host", golden, "fp32", {.ranks = 2}, 2);
  for (const char* recipe : {"bf16", "fp8"}) trains_as_one("host", "lora-qwen2", recipe, {.ranks = 3}, 1);
}

Outcome train_shared(const std::string& executor, const std::string& name, const std::string& recipe, Sharding sharding,
                     uint32_t accumulation, const MemoryPolicy& policy = {}) {
  const Golden golden(name);
  return train(executor, golden, config_of(golden, recipe, 2, accumulation), sharding, policy);
}

// Rows of 131 tokens and of 32 and 80 features: shares of 16 rows leave some of 3 and 5 ranks with padding alone.
TEST_CASE("where sums happen changes no bit on host") {
  for (const char* recipe : {"fp32", "bf16", "fp8"})
    for (uint32_t ranks : {2u, 3u}) {
      INFO(recipe, " ", ranks, " ranks");
      const auto outcome = [&](uint32_t zero, uint32_t accumulation, bool every = false) {
        return train_shared("host", recipe == std::string("fp8") ? "qwen2" : "qwen3", recipe, {ranks, zero, every},
                            accumulation);
      };
      check_same(outcome(1, 1), outcome(2, 1));
      const Outcome two = outcome(2, 2);
      check_same(outcome(1, 2, true), two);
      check_same(outcome(3, 2), two);
    }
}

// No share cuts a block: with one rank's gradients on two, states have one rank's bits.
TEST_CASE("where 8-bit states live changes no bit on host") {
  const Golden golden("qwen3");
  const auto outcome = [&](uint32_t ranks, uint32_t zero, uint32_t accumulation, const MemoryPolicy& policy = {}) {
    return train("host", golden, config_of(golden, "bf16", 2, accumulation, k8bitStates), {ranks, zero}, policy);
  };
  for (const uint32_t ranks : {2u, 3u}) {
    check_same(outcome(ranks, 1, 1), outcome(ranks, 2, 1));
    check_same(outcome(ranks, 3, 2), outcome(ranks, 2, 2));
  }
  const MemoryPolicy moved = [] {
    MemoryPolicy p = uniform_policy({}, {Offload(0), Offload(1), Offload::parameters});
    p.optimizer_chunk = 512;
    return p;
  }();
  check_same(outcome(2, 3, 2, moved), outcome(2, 3, 2));
}

// Policies that ranks have beside those of one device, and some of those.
TEST_CASE("with zero = 3 no policy changes a bit on host") {
  MemoryPolicy resident{.weights = {Weights::resident}}, late{.gather_distance = 0}, early{.gather_distance = 2};
  MemoryPolicy block = uniform_policy({Recompute::block}, {}), chunks{.attention_chunks = 2, .optimizer_chunk = 512};
  MemoryPolicy host =
      uniform_policy({}, {Offload(0), Offload(1), Offload::parameters, Offload::gradients, Offload::residuals});
  for (const char* recipe : {"bf16", "fp8"}) {
    const auto outcome = [&](const MemoryPolicy& policy) {
      return train_shared("host", "qwen2", recipe, {.ranks = 2, .zero = 3}, 2, policy);
    };
    const Outcome plain = outcome({});
    for (const MemoryPolicy& policy : {resident, late, early, block, chunks, host}) check_same(outcome(policy), plain);
  }
}

TEST_CASE("executors exchange the same") {
  for (const char* recipe : {"bf16", "fp8"}) trains_as_one("cuda_host", "qwen2", recipe, {.ranks = 3, .zero = 2}, 1);
}

#ifdef TANDEM_VULKAN
TEST_CASE("ranks train as one does on vulkan") {
  trains_as_one("vulkan", "qwen2", "fp8", {.ranks = 2}, 2);
}
#endif

#ifdef TANDEM_CUDA
constexpr const char* kRecipes[] = {"fp32", "bf16", "fp8"};

// An environment variable that has a value while it lives.
class Set {
 public:
  Set(const char* name, const char* value) : name_(name) { REQUIRE(setenv(name, value, 1) == 0); }
  ~Set() { (void)unsetenv(name_); }
  Set(const Set&) = delete;
  Set& operator=(const Set&) = delete;

 private:
  const char* name_;
};

TEST_CASE("ranks train as one does on cuda ranks") {
  for (const char* recipe : kRecipes)
    for (uint32_t zero : {1u, 2u, 3u}) trains_as_one("cuda", "qwen2", recipe, {.ranks = 2, .zero = zero}, 2);
  for (const char* golden : {"llama", "qwen3"}) trains_as_one("cuda", golden, "bf16", {.ranks = 2}, 2);
}

TEST_CASE("where sums happen changes no bit on cuda ranks") {
  for (const char* recipe : kRecipes) {
    const auto outcome = [&](uint32_t zero, uint32_t accumulation, bool every = false) {
      return train_shared("cuda", "qwen2", recipe, {2, zero, every}, accumulation);
    };
    check_same(outcome(1, 1), outcome(2, 1));
    const Outcome two = outcome(2, 2);
    check_same(outcome(1, 2, true), two);
    check_same(outcome(3, 2), two);
  }
}

TEST_CASE("graphs change no bit on cuda ranks") {
  for (uint32_t zero : {1u, 2u, 3u}) {
    const auto outcome = [&] { return train_shared("cuda", "qwen2", "bf16", {.ranks = 2, .zero = zero}, 2); };
    const Outcome graphs = outcome();
    const Set none("TANDEM_CUDA_GRAPHS", "0");
    check_same(outcome(), graphs);
  }
}

// For each share of the exchanges: steps enough for hosts and devices to meet in many orders, two steps in flight.
void soak(World& world, const Golden& golden, const RunConfig& config, uint32_t zero, uint64_t steps,
          std::vector<double>& losses) {
  const std::unique_ptr<Backend> backend = open_for_rank("cuda", world.seat().rank);
  Run run(*backend, golden.model, config, {}, {&world, {.ranks = world.seat().ranks, .zero = zero}});
  Stumble stumble(world.seat().rank);
  std::optional<StepRunner::Pending> before;
  const auto finish = [&] { losses.push_back(run.runner().finish(*before).loss); };
  for (uint64_t s = 0; s < steps; ++s) {
    const StepRunner::Pending now = run.runner().train(run.batch(s % 4), s, 1e-4, 1);
    if (before) finish();
    before = now;
    stumble();
  }
  finish();
}

TEST_CASE("soak of 2000 steps on cuda ranks") {
  const Golden golden("qwen2");
  for (uint32_t zero : {1u, 2u, 3u}) {
    std::vector<double> losses[2];
    const auto thrown = run_ranks(local_worlds(2), [&](World& world) {
      soak(world, golden, config_of(golden, "bf16", 2, 2), zero, 2000, losses[world.seat().rank]);
    });
    for (const std::string& text : thrown) REQUIRE(text == "");
    INFO("zero ", zero, ", losses ", losses[0].front(), " to ", losses[0].back());
    CHECK(losses[0] == losses[1]);
    CHECK(losses[0].back() < losses[0].front());
  }
}
#endif

}  // namespace
}  // namespace tandem::test
