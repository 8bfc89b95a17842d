// The shipped model configurations, against the parameter counts that their publishers give.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "core/model/model_source.h"
#include "core/model/weights.h"
#include "core/optimizer/optimizer.h"
#include "core/run/config.h"
#include "core/run/settings.h"
#include "core/step/step_graph.h"

using namespace tandem;

namespace {

std::string source(const std::string& path) {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  return std::string(root ? root : ".") + "/" + path;
}

struct Published {
  const char* name;
  uint64_t parameters;  // a tied LM head counted once
};

constexpr Published kModels[] = {
    {"qwen2.5-0.5b", 494032768},  {"qwen2.5-1.5b", 1543714304}, {"qwen2.5-3b", 3085938688},
    {"qwen2.5-7b", 7615616512},   {"qwen2.5-14b", 14770033664}, {"qwen2.5-32b", 32763876352},
    {"llama-3.2-1b", 1235814400}, {"llama-3.2-3b", 3212749824}, {"llama-3.1-8b", 8030261248},
    {"qwen3-0.6b", 596049920},    {"qwen3-1.7b", 1720574976},   {"qwen3-4b", 4022468096},
    {"qwen3-8b", 8190735360},     {"qwen3-14b", 14768307200},
};

}  // namespace

TEST_CASE("configs/models: parameter counts are the published ones, and no key is unknown") {
  for (const Published& model : kModels) {
    CAPTURE(std::string(model.name));
    const auto no_warning = [](const std::string& text) { FAIL_CHECK(text); };
    const ModelConfig config = load_model_config(source(std::string("configs/models/") + model.name), no_warning);
    uint64_t count = 0;
    for (const ParameterSpec& spec : parameter_specs(config)) count += spec.shape.count();
    CHECK(count == model.parameters);
  }
}

// By hand: 8 bytes per parameter in bf16; 6 and 2/128 of a byte with 8-bit m and v, but for vectors.
TEST_CASE("configs/models: GB of parameters, gradients and AdamW's states") {
  struct Sizes {
    const char* name;
    double bf16, in_8bit;
  };
  for (const Sizes& sizes :
       {Sizes{"qwen2.5-0.5b", 4.0, 3.0}, Sizes{"qwen2.5-1.5b", 12.3, 9.3}, Sizes{"qwen2.5-3b", 24.7, 18.6},
        Sizes{"qwen2.5-7b", 60.9, 45.8}, Sizes{"qwen2.5-14b", 118.2, 88.9}, Sizes{"qwen2.5-32b", 262.1, 197.1}}) {
    CAPTURE(std::string(sizes.name));
    const ModelConfig config = open_model(source(std::string("configs/models/") + sizes.name)).config;
    const auto gigabytes = [&](DType m, DType v) {
      const auto optimizer = make_optimizer({}, {.recipe = Recipe::bf16, .m = m, .v = v});
      uint64_t bytes = 0;
      for (const ParameterSpec& spec : parameter_specs(config)) {
        bytes += 4 * spec.shape.count();
        for (const State& state : optimizer->states(spec)) bytes += state.desc.bytes();
      }
      return std::round(double(bytes) / 1e8) / 10;
    };
    CHECK(gigabytes(DType::bf16, DType::bf16) == sizes.bf16);
    CHECK(gigabytes(DType::e4m3, DType::e5m3) == sizes.in_8bit);
  }
}

// By hand: under APOLLO of rank 256 a matrix inside a layer has 8 bytes per channel and dimension, all else AdamW's 4
// per parameter. Channels of a layer: of 7B 4 * 3584 + 3 * 18944.
TEST_CASE("configs/models: GB of parameters, gradients and APOLLO's states") {
  const std::pair<const char*, double> models[] = {{"qwen2.5-0.5b", 3.4}, {"qwen2.5-7b", 38.9}, {"qwen2.5-14b", 71.4}};
  for (const auto& [name, expected] : models) {
    CAPTURE(std::string(name));
    const ModelConfig config = open_model(source(std::string("configs/models/") + name)).config;
    const auto optimizer = make_optimizer({.kind = OptimizerKind::apollo}, {.recipe = Recipe::bf16});
    uint64_t bytes = 0;
    for (const ParameterSpec& spec : parameter_specs(config)) {
      bytes += 4 * spec.shape.count();
      for (const State& state : optimizer->states(spec)) bytes += state.desc.bytes();
    }
    CHECK(std::round(double(bytes) / 1e8) / 10 == expected);
  }
}

// By hand, of 7B: rows and columns of the matrices of 28 layers, of embedding and head, and its vectors, 4 bytes each.
TEST_CASE("configs/models: bytes of AdaLomo's states") {
  const ModelConfig config = open_model(source("configs/models/qwen2.5-7b")).config;
  const auto optimizer = make_optimizer({.kind = OptimizerKind::adalomo}, {.recipe = Recipe::bf16});
  uint64_t bytes = 0;
  for (const ParameterSpec& spec : parameter_specs(config))
    for (const State& state : optimizer->states(spec)) bytes += state.desc.bytes();
  const uint64_t h = 3584, f = 18944, kv = 512, rows = 3 * h + 2 * kv + 2 * f, columns = 6 * h + f;
  CHECK(bytes == 4 * (28 * (rows + columns + 3 * h + 2 * kv) + h + 2 * (152064 + h)));
}

TEST_CASE("configs: each file loads and names a model that is shipped") {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source("configs"))) {
    if (entry.path().extension() != ".toml") continue;
    CAPTURE(entry.path().string());
    const RunConfig config = load_config(entry.path().string(), {});
    if (config.model.path.starts_with("runs/"))  // a model that another of them trains
      CHECK(std::filesystem::exists(
          source("configs/" + config.model.path.substr(5, config.model.path.find('/', 5) - 5) + ".toml")));
    else CHECK(std::filesystem::exists(source(config.model.path + "/config.json")));
    CHECK(config.precision.recipe == "fp8");
    ++files;
  }
  CHECK(files >= std::size(kModels) + 1);  // and the quickstart's
}

TEST_CASE("configs: LM-head chunks keep their logits within what is asked for") {
  const ModelConfig config = open_model(source("configs/models/qwen2.5-0.5b")).config;
  const StepShape shape{16, 1, 1024, 1};
  const uint64_t row = 151936 * 2;  // bytes of logits; rows are counted in 64s
  for (const uint64_t bytes : {uint64_t{64} << 20, uint64_t{1} << 30}) {
    const uint32_t chunks = choose_head_chunks(config, {.recipe = Recipe::fp8}, shape, bytes);
    const uint64_t rows = bytes / row / 64 * 64;
    CHECK(chunks == (16 * 1024 + rows - 1) / rows);
  }
}
