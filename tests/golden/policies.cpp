// Memory policies change no bit: parameters, moments, losses and gradient norms of a run under each equal those under
// none; memory falls; what is allocated is what was planned. TANDEM_FULL=1 runs more of them.
#include <random>

#include "tests/golden/run.h"
#include "tests/support/full.h"
#include "tests/support/host_backend.h"
#include "tests/support/offload.h"

namespace tandem::test {
namespace {

// Another backend, counting what it allocates.
class Counting : public Backend {
 public:
  explicit Counting(Backend& backend) : backend_(backend) {}
  const Target& target() const override { return backend_.target(); }
  std::unique_ptr<Memory> allocate(const Arena& arena) override {
    (arena.kind == ArenaKind::device ? device_bytes : host_bytes) += arena.bytes;
    return backend_.allocate(arena);
  }
  void write(Memory& memory, uint64_t offset, std::span<const std::byte> bytes) override {
    backend_.write(memory, offset, bytes);
  }
  void read(const Memory& memory, uint64_t offset, std::span<std::byte> bytes) override {
    backend_.read(memory, offset, bytes);
  }
  std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) override {
    return backend_.load(program, memories);
  }

  uint64_t device_bytes = 0, host_bytes = 0;

 private:
  Backend& backend_;
};

struct Outcome {
  std::vector<float> reports;
  State state;
  uint64_t device_bytes = 0;
};

// two steps with an evaluation between
Outcome outcome(Backend& backend, const ModelSource& model, const RunConfig& config, const MemoryPolicy& policy) {
  Counting counting(backend);
  Run run(counting, model, config, policy);
  Outcome o;
  for (uint64_t s = 0; s < 2; ++s) {
    const abi::StepReport report = run.step(s);
    CHECK(report.skipped == 0);
    o.reports.insert(o.reports.end(), {report.loss, report.grad_norm});
    if (s == 0) o.reports.push_back(float(run.evaluation_loss()));
  }
  o.state = run.state();
  o.device_bytes = counting.device_bytes;
  const Target& target = backend.target();
  CHECK(counting.device_bytes + target.staging_bytes + target.reserve_bytes == device_bytes(run.plan(), target));
  CHECK(counting.device_bytes == run.session().device_bytes());
  CHECK(counting.host_bytes == run.plan().host_bytes);
  return o;
}

std::vector<MemoryPolicy> samples() {
  using enum Recompute;
  using R = EnumSet<Recompute>;
  using O = EnumSet<Offload>;
  const O states{offload_of_state(0), offload_of_state(1), offload_of_state(2)};
  std::vector<MemoryPolicy> list = {
      uniform_policy({norm, swiglu}, {}),
      uniform_policy(
          {block}, {Offload::parameters, Offload::copies, Offload::gradients, Offload::residuals, offload_of_state(0)}),
      uniform_policy({qkv, attention}, states),
      uniform_policy({ffn}, {Offload::residuals}),
  };
  list[1].optimizer_chunk = 700;
  list[1].prefetch_distance = 0;
  list[1].update_distance = 2;
  list[2].zero_copy = {offload_of_state(0)};
  list[3].attention_chunks = 2;
  list[3].copies = {Copies::remade};
  list[1].copies = list[2].copies = {Copies::transposed};
  if (!is_full()) return list;
  for (R one : {R{norm}, R{swiglu}, R{qkv}, R{attention}, R{block}}) list.push_back(uniform_policy(one, {}));
  for (O one : {O{offload_of_state(0)}, O{offload_of_state(1)}, O{Offload::parameters}, O{Offload::copies},
                O{Offload::gradients}})
    list.push_back(uniform_policy({}, one));
  std::mt19937 random(1);
  while (list.size() < 24) {
    MemoryPolicy p;
    for (uint32_t layer = 0; layer < 4; ++layer) {
      p.recompute.push_back(R::of(uint32_t(random() % 64)));
      p.copies.push_back(Copies(random() % 3));
      p.offload.push_back(offload_set(1 + uint32_t(random() % 127)));  // something always leaves the device
    }
    p.offload_outside = offload_set(uint32_t(random() % 128));
    p.zero_copy = offload_set(uint32_t(random() % 128));
    p.prefetch_distance = uint32_t(random() % 4);
    p.update_distance = uint32_t(random() % 4);
    p.attention_chunks = 1 + uint32_t(random() % 3);
    p.optimizer_chunk = random() % 2 * (64 + random() % 1000);
    list.push_back(p);
  }
  return list;
}

std::string describe(const MemoryPolicy& p) {
  const std::vector<std::string> states{"m", "v", "master"}, words = offload_words(states, true);
  std::string text;
  for (size_t i = 0; i < p.recompute.size(); ++i) text += fmt::format("recompute {}; ", to_string(p.recompute[i]));
  for (size_t i = 0; i < p.offload.size(); ++i) text += fmt::format("offload {}; ", to_string(p.offload[i], words));
  return text + fmt::format("outside {}; zero-copy {}; distances {} {}; attention chunks {}; optimizer chunk {}",
                            to_string(p.offload_outside, words), to_string(p.zero_copy, words), p.prefetch_distance,
                            p.update_distance, p.attention_chunks, p.optimizer_chunk);
}

void check_policies(Backend& backend, const char* name, const char* recipe, bool in_8bit = false) {
  Golden golden(name);
  golden.model.config.layers = 4;  // with weights drawn, not stored
  std::vector<std::string> overrides{fmt::format("--precision.recipe={}", recipe),
                                     "--model.from_scratch=true",
                                     "--batch.micro_batch=4",
                                     "--batch.gradient_accumulation=2",
                                     "--memory.lm_head_chunks=3",
                                     "--optimizer.master_dtype=f32"};
  if (in_8bit) overrides.insert(overrides.end(), {"--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"});
  const RunConfig config = golden.config(overrides);
  const Outcome none = outcome(backend, golden.model, config, {});
  for (const MemoryPolicy& policy : samples()) {
    INFO(recipe, ": ", describe(policy));
    const Outcome with = outcome(backend, golden.model, config, policy);
    CHECK(with.reports == none.reports);
    CHECK(with.state == none.state);
    CHECK(with.device_bytes < none.device_bytes);
  }
}

ON_EXECUTORS("memory policies change no bit in fp32", check_policies, "qwen3", "fp32")
ON_EXECUTORS("memory policies change no bit in bf16", check_policies, "llama", "bf16")
ON_EXECUTORS("memory policies change no bit in fp8", check_policies, "qwen2", "fp8")
ON_EXECUTORS("memory policies change no bit with 8-bit states", check_policies, "qwen3", "bf16", true)

// Matrices inside a layer that no policy cuts the update of; every other parameter has m, v and master.
void check_layer_matrices(Backend& backend, std::vector<std::string> kind) {
  Golden golden("qwen2");
  kind.insert(kind.end(), {"--precision.recipe=bf16", "--optimizer.master_dtype=f32"});
  const RunConfig config = golden.config(kind);
  const Outcome none = outcome(backend, golden.model, config, {});
  MemoryPolicy far = uniform_policy({}, EnumSet<Offload>::of((1u << 3) - 1)), in_place = far;
  far.offload_outside.insert(Offload::parameters);
  far.offload[0].insert(Offload::parameters);
  far.offload[0].insert(Offload::gradients);
  far.optimizer_chunk = 700;
  far.update_distance = 0;
  in_place.zero_copy = {offload_of_state(0), offload_of_state(2)};
  for (const MemoryPolicy& policy : {far, in_place}) {
    INFO(describe(policy));
    const Outcome with = outcome(backend, golden.model, config, policy);
    CHECK(with.reports == none.reports);
    CHECK(with.state == none.state);
    CHECK(with.device_bytes < none.device_bytes);
  }
}
using Kind = std::vector<std::string>;
ON_EXECUTORS("memory policies change no bit under muon", check_layer_matrices, Kind{"--optimizer.kind=muon"})
ON_EXECUTORS("memory policies change no bit under muon with 8-bit states", check_layer_matrices,
             Kind{"--optimizer.kind=muon", "--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"})
ON_EXECUTORS("memory policies change no bit under apollo", check_layer_matrices,
             Kind{"--optimizer.kind=apollo", "--optimizer.projection_rank=5", "--optimizer.projection_every=1"})
ON_EXECUTORS("memory policies change no bit under apollo mini", check_layer_matrices,
             Kind{"--optimizer.kind=apollo", "--optimizer.projection_rank=1", "--optimizer.scaling=tensor"})
ON_EXECUTORS("memory policies change no bit under galore", check_layer_matrices,
             Kind{"--optimizer.kind=galore", "--optimizer.projection_rank=5"})
ON_EXECUTORS("memory policies change no bit under adalomo", check_layer_matrices, Kind{"--optimizer.kind=adalomo"})

// copy queues run ahead of the one that computes, and behind it, as far as signals and waits let them
TEST_CASE("memory policies change no bit when queues run in any order on host") {
  for (uint32_t seed = 0; seed < 4; ++seed) {
    const auto queues = open_host(2 + seed % 2, seed);
    Golden golden("qwen2");
    golden.model.config.layers = 3;
    const RunConfig config = golden.config({"--precision.recipe=fp8", "--model.from_scratch=true",
                                            seed == 3   ? "--optimizer.kind=muon"
                                            : seed == 2 ? "--optimizer.kind=apollo"
                                                        : "--optimizer.kind=adamw"});
    MemoryPolicy all = uniform_policy({Recompute::ffn}, EnumSet<Offload>::of(63));
    all.prefetch_distance = 1 + seed % 2;
    all.optimizer_chunk = 1000;
    const Outcome none = outcome(executor("host"), golden.model, config, {});
    const Outcome with = outcome(*queues, golden.model, config, all);
    CHECK(with.reports == none.reports);
    CHECK(with.state == none.state);
  }
}

}  // namespace
}  // namespace tandem::test
