// Several ranks train as one does, and every way of sharing gives the bits that it promises (docs/distributed.md).
#include "tests/golden/run.h"
#include "tests/support/executors.h"
#include "tests/support/host_backend.h"
#include "tests/support/rank_threads.h"

namespace tandem::test {
namespace {

struct Outcome {
  std::vector<abi::StepReport> reports;
  State state;
  double evaluation = 0;
  std::vector<std::string> thrown;
};

std::unique_ptr<Backend> open_executor(const std::string& name, uint32_t rank) {
  if (name == "host") return open_host(4, 17 + rank);
  for (const BackendFactory& factory : test_backends())
    if (factory.name == name) return factory.open(0);
  return nullptr;
}

constexpr uint64_t kSteps = 3;

Outcome train(const std::string& executor, const Golden& golden, const RunConfig& config, const Sharding& sharding,
              const MemoryPolicy& policy = {}) {
  std::vector<Outcome> outcomes(sharding.ranks);
  const auto body = [&](World& world) {
    const uint32_t rank = world.seat().rank;
    Outcome& mine = outcomes[rank];
    const std::unique_ptr<Backend> backend = open_executor(executor, rank);
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

RunConfig config_of(const Golden& golden, const std::string& recipe, uint32_t micro_batch, uint32_t accumulation) {
  return golden.config({"--precision.recipe=" + recipe, fmt::format("--batch.micro_batch={}", micro_batch),
                        fmt::format("--batch.gradient_accumulation={}", accumulation)});
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

}  // namespace
}  // namespace tandem::test
