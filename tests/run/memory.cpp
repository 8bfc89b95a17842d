// The metrics' memory: what a run allocated, which is what it planned.
#include <doctest/doctest.h>

#include <cstdlib>

#include "core/base/json.h"
#include "core/model/model_source.h"
#include "core/run/settings.h"
#include "core/run/train.h"
#include "core/step/compile_step.h"
#include "tests/data/scratch.h"
#include "tests/support/cuda_host/backend.h"

namespace tandem {
namespace {

constexpr char kConfig[] = R"(
[model]
path = "{0}"
from_scratch = true
[data]
train = ["{0}/train.bin"]
sequence_length = 32
[batch]
micro_batch = 2
[precision]
recipe = "fp8"
[memory]
lm_head_chunks = 2
[schedule]
steps = 1
warmup_steps = 1
[run]
directory = "{1}"
)";

TEST_CASE("train: the metrics' memory is what plan.json says") {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  const ScratchDirectory place;
  const std::string model = std::string(root ? root : ".") + "/tests/golden/cases/qwen2";
  const std::string text = fmt::format(kConfig, model, place.path("run"));
  const RunConfig config = load_config(place.write("c.toml", text), {});
  Registry registry;
  registry.add(test::cuda_host_backend());
  REQUIRE(train(config, registry, TrainOptions{}) == Exit::ok);

  const std::string lines = read_text(place.path("run/metrics.jsonl"));
  const uint64_t memory = parse_json(lines.substr(0, lines.find('\n')), "metrics.jsonl").at("memory");
  CHECK(parse_json(read_text(place.path("run/plan.json")), "plan.json").at("device_bytes") == memory);
  const Target target = registry.open(registry.choose("auto"))->target();
  const StepShape shape{.micro_batch = 2, .accumulation = 1, .sequence_length = 32, .head_chunks = 2};
  const MemoryPlan plan =
      compile_step({open_model(model).config, precision_of(config), config.optimizer, shape}, {}, target).memory;
  CHECK(memory == plan.arena_bytes() + target.staging_bytes + target.reserve_bytes);
}

}  // namespace
}  // namespace tandem
