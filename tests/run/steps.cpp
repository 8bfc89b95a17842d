// Steps follow each other without a gap, and what a run does between two steps finds none in flight.
#include <doctest/doctest.h>

#include <cstdlib>
#include <utility>

#include "core/base/json.h"
#include "core/run/train.h"
#include "tests/data/scratch.h"
#include "tests/support/cuda_host/backend.h"
#include "tests/support/forwarding_backend.h"

namespace tandem {
namespace {

// M: a step begins, by its one micro-step; U: it is updated, T: and its copies were timed; W: the host waits for one;
// E: a batch is evaluated
std::string events;

class WatchedExecutable : public Executable {
 public:
  explicit WatchedExecutable(std::unique_ptr<Executable> inner) : inner_(std::move(inner)) {}
  Timepoint submit(Turn turn) override {
    if (turn.range == Range::micro_step) events += 'M';
    if (turn.range == Range::update) events += 'U';
    if (turn.range == Range::evaluate) events += 'E';
    return inner_->submit(turn);
  }
  Timepoint submit_timed(Turn turn) override {
    if (turn.range == Range::update) events += 'T';
    return submit(turn);
  }
  std::optional<double> copy_seconds() override { return 0.25; }
  void wait(Timepoint timepoint) override {
    events += 'W';
    inner_->wait(timepoint);
  }

 private:
  std::unique_ptr<Executable> inner_;
};

class WatchedBackend : public test::ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) override {
    return std::make_unique<WatchedExecutable>(inner_->load(program, memories));
  }
};

constexpr char kConfig[] = R"(
[model]
path = "{0}"
from_scratch = true
[data]
train = ["{0}/train.bin"]
eval = ["{0}/train.bin"]
sequence_length = 16
[batch]
micro_batch = 1
[precision]
recipe = "bf16"
[schedule]
steps = 7
warmup_steps = 1
[checkpoint]
every = 4
[run]
directory = "{1}"
eval_windows = 1
eval_every = 6
)";

TEST_CASE("train: a step begins before the one in front of it is done, unless an evaluation comes between them") {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  const ScratchDirectory place;
  const std::string model = std::string(root ? root : ".") + "/tests/golden/cases/qwen2";
  const RunConfig config = load_config(place.write("c.toml", fmt::format(kConfig, model, place.path("run"))), {});
  Registry registry;
  BackendFactory factory = test::cuda_host_backend();
  factory.open = [](uint32_t index) -> std::unique_ptr<Backend> {
    return std::make_unique<WatchedBackend>(test::cuda_host_backend().open(index));
  };
  registry.add(factory);
  events.clear();
  REQUIRE(train(config, registry, TrainOptions{}) == Exit::ok);
  CHECK(events ==
        "MUMW"
        "UMW"
        "TUMW"
        "UMW"
        "UMW"
        "UW"
        "EW"
        "MUW"
        "EW");

  const std::string metrics = read_text(place.path("run/metrics.jsonl"));
  CHECK(metrics.find("\"step\":3") < metrics.find("\"copy_seconds\":0.25"));
  CHECK(metrics.find("\"copy_seconds\":0.25") < metrics.find("\"step\":4"));
  CHECK(metrics.find("copy_seconds") == metrics.rfind("copy_seconds"));
}

}  // namespace
}  // namespace tandem
