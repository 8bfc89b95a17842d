// Runs whose backend has kernels to choose: what is timed, cached, given, recorded and kept on resume.
#include "core/run/choices.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "core/abi/gemm.h"
#include "core/base/json.h"
#include "core/run/manifest.h"
#include "core/run/train.h"
#include "tests/support/captured_error.h"
#include "tests/support/cuda_host/backend.h"
#include "tests/support/forwarding_backend.h"
#include "tests/support/temporary.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
using test::check_fails;

// What a library's two algorithms take; a machine's own, so that two machines choose otherwise.
struct Machine {
  double even = 1, odd = 2;
  size_t timed = 0;
};
Machine* machine = nullptr;

struct Algorithms : KernelProposals {
  std::vector<std::string> all() override { return {"even", "odd"}; }
  bool accepts(const std::string& kernel) override { return kernel == "even" || kernel == "odd"; }
  std::optional<double> seconds(const std::string& kernel) override {
    ++machine->timed;
    return kernel == "even" ? machine->even : machine->odd;
  }
};

// cuda_host with a choice for each product.
class ChoosingBackend : public test::ForwardingBackend {
 public:
  ChoosingBackend() : ForwardingBackend(test::cuda_host_backend().open(0)) {}
  std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) override {
    for (const std::vector<Instruction>& range : program.ranges)
      for (const Instruction& i : range)
        if (const auto* d = std::get_if<Dispatch>(&i.command); d != nullptr && d->op == OpId::gemm) {
          const auto p = d->parameters.as<abi::Gemm>();
          Algorithms algorithms;
          table_.choose(fmt::format("{} {}x{}x{}", p.form, p.m, p.n, p.k), algorithms);
        }
    table_.save();
    return inner_->load(program, memories);
  }
  KernelTable* kernels() override { return &table_; }

 private:
  KernelTable table_{"choosing.json"};
};

Registry choosing() {
  Registry registry;
  registry.add({"cuda_host", test::cuda_host_backend().devices,
                [](uint32_t) -> std::unique_ptr<Backend> { return std::make_unique<ChoosingBackend>(); }});
  return registry;
}

// Two machines with a cache each, and runs on them.
struct Place {
  explicit Place() {
    const char* root = std::getenv("TANDEM_SOURCE_ROOT");
    model = std::string(root ? root : ".") + "/tests/golden/cases/qwen2";
  }
  ~Place() { unsetenv("XDG_CACHE_HOME"); }

  Json train(Machine& on, const std::string& run, TrainOptions options = {}) const {
    machine = &on;
    setenv("XDG_CACHE_HOME", (directory / (&on == &here ? "cache-here" : "cache-there")).c_str(), 1);
    return train(choosing(), run, options);
  }
  Json train(const Registry& registry, const std::string& run, const TrainOptions& options) const {
    const std::string text = fmt::format(
        "[model]\npath = \"{0}\"\nfrom_scratch = true\n[data]\ntrain = [\"{0}/train.bin\"]\nsequence_length = 16\n"
        "[batch]\nmicro_batch = 1\n[precision]\nrecipe = \"fp32\"\n[schedule]\nsteps = 1\nwarmup_steps = 0\n"
        "[run]\ndirectory = \"{1}\"\n",
        model, directory / run);
    const Exit exit = tandem::train(parse_config(text, "c.toml", {}), registry, options);
    CHECK(exit == Exit::ok);
    return plan(run);
  }
  Json plan(const std::string& run) const { return parse_json(read_text(directory / (run + "/plan.json")), "plan"); }
  std::string manifest(const std::string& run) const {
    return directory / (run + "/checkpoints/step_00000001/manifest.json");
  }
  std::string write(const std::string& name, const std::string& text) const {
    write_file_synced(directory / name, text);
    return directory / name;
  }

  test::TemporaryDirectory directory;
  std::string model;
  mutable Machine here{.even = 2, .odd = 1}, there{.even = 1, .odd = 2};
};

size_t count_of(const Json& kernels, const std::string& kernel) {
  size_t count = 0;
  for (const auto& item : kernels.items()) count += item.value() == kernel;
  return count;
}

TEST_CASE("choices: machines time their own, keep them in a cache, and one file gives both the same set") {
  const Place place;
  const Json here = place.train(place.here, "here"), there = place.train(place.there, "there");
  const size_t count = here.at("kernels").size();
  REQUIRE(count > 5);
  CHECK(here.at("kernels_from") == Json{{"timed", count}});
  CHECK(count_of(here.at("kernels"), "odd") == count);
  CHECK(count_of(there.at("kernels"), "even") == count);
  CHECK(place.train(place.here, "again").at("kernels_from") == Json{{"cache", count}});

  place.there.timed = 0;
  for (const std::string& file : {place.directory / "here/plan.json", place.manifest("here"),
                                  place.write("map.json", here.at("kernels").dump())}) {
    CAPTURE(file);
    const Json given = place.train(place.there, "given", {.choices = file});
    CHECK(given.at("kernels") == here.at("kernels"));
    CHECK(given.at("kernels_from") == Json{{"file", count}});
    fs::remove_all(place.directory / "given");
  }
  Json some = here.at("kernels");
  some.erase(some.begin());
  const Json rest = place.train(place.there, "some", {.choices = place.write("some.json", some.dump())});
  CHECK(rest.at("kernels_from") == Json{{"file", count - 1}, {"default", 1}});
  CHECK(count_of(rest.at("kernels"), "odd") == count - 1);
  CHECK(place.there.timed == 0);
  CHECK(place.train(place.there, "after").at("kernels") == there.at("kernels"));  // its cache is as it was
}

TEST_CASE("choices: the default is the same on two machines, times nothing and leaves no cache") {
  const Place place;
  const Json here = place.train(place.here, "here", {.choices = "default"});
  const Json there = place.train(place.there, "there", {.choices = "default"});
  CHECK(here.at("kernels") == there.at("kernels"));
  CHECK(here.at("kernels_from") == Json{{"default", here.at("kernels").size()}});
  CHECK(count_of(here.at("kernels"), "even") == here.at("kernels").size());
  CHECK(place.here.timed + place.there.timed == 0);
  CHECK_FALSE(fs::exists(place.directory / "cache-here"));
}

TEST_CASE("choices: a resumed run keeps its checkpoint's and takes no others") {
  const Place place;
  const Json here = place.train(place.here, "run");
  fs::remove_all(place.directory / "run/model");
  check_fails(Exit::configuration, {"--choices", "checkpoint"},
              [&] { place.train(place.there, "run", {.resume = true, .choices = "default"}); });
  CHECK(place.plan("run") == here);
  const Json resumed = place.train(place.there, "run", {.resume = true});
  CHECK(resumed.at("kernels") == here.at("kernels"));
  CHECK(resumed.at("kernels_from") == Json{{"checkpoint", here.at("kernels").size()}});
  CHECK(place.there.timed == 0);
  CHECK_FALSE(fs::exists(place.directory / "cache-there"));
}

TEST_CASE("choices: a file that names none is refused before the run directory is made") {
  const Place place;
  const std::pair<const char*, const char*> files[] = {{"no.json", nullptr},
                                                       {"text.json", "{\"a\": "},
                                                       {"list.json", "[\"a\"]"},
                                                       {"number.json", "{\"a\": 1}"},
                                                       {"kernels.json", "{\"kernels\": [\"a\"]}"},
                                                       {"manifest.json", "{\"format\": \"tandem-checkpoint\"}"}};
  for (const auto& [name, text] : files) {
    if (text != nullptr) place.write(name, text);
    check_fails(Exit::input, {name},
                [&] { place.train(place.here, "run", {.choices = place.directory / std::string(name)}); });
    CHECK_FALSE(fs::exists(place.directory / "run"));
  }
}

TEST_CASE("choices: a backend that has none says so") {
  const Place place;
  Registry registry;
  registry.add(test::cuda_host_backend());
  const test::CapturedError error;
  CHECK(place.train(registry, "run", {.choices = "default"}).at("kernels") == Json::object());
  CHECK_MESSAGE(error.text().find("warning: --choices changes nothing: cuda_host has no") != std::string::npos,
                error.text());
}

TEST_CASE("choices: the record says where kernels come from") {
  KernelRecord record{.kernels = {}, .from = {{"cache", 24}, {"timed", 3}}};
  CHECK(record.text() == "24 from the cache, 3 timed here");
  record.from = {{"file", 20}, {"default", 4}};
  CHECK(record.text() == "20 from the file, 4 by default");
}

}  // namespace
}  // namespace tandem
