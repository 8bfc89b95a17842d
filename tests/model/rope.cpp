// Reference values: LlamaRotaryEmbedding of transformers 4.57.1 with torch 2.9.1, which computes in f32: angles at
// position 100 are off by up to 1e-5, hence the tolerances.
#include <cmath>

#include "core/model/config.h"
#include "tests/support/temporary.h"

using namespace tandem;

namespace {

struct Entry {
  uint64_t position, pair;
  double cos, sin;
};

void check_rope(const RopeConfig& rope, std::initializer_list<double> frequencies,
                std::initializer_list<Entry> entries) {
  ModelConfig config;
  config.head_dim = 16;
  config.rope = rope;
  const std::vector<double> ours = rope_frequencies(config);
  REQUIRE(ours.size() == frequencies.size());
  for (size_t i = 0; i < ours.size(); ++i) CHECK(std::abs(ours[i] / frequencies.begin()[i] - 1) < 3e-7);

  const std::vector<float> table = rope_table(config, 101);
  REQUIRE(table.size() == 101 * 8 * 2);
  CHECK(table[0] == 1.0f);
  CHECK(table[1] == 0.0f);
  for (const Entry& e : entries) {
    const size_t at = (e.position * 8 + e.pair) * 2;
    const double tolerance = e.position == 1 ? 2e-7 : 2e-5;
    CHECK(std::abs(double(table[at]) - e.cos) < tolerance);
    CHECK(std::abs(double(table[at + 1]) - e.sin) < tolerance);
  }
}

}  // namespace

TEST_CASE("rope: default") {
  check_rope({.theta = 10000},
             {1.0, 0.3162277638912201, 0.10000000149011612, 0.03162277862429619, 0.009999999776482582,
              0.003162277862429619, 0.0010000000474974513, 0.0003162277862429619},
             {{1, 0, 0.5403023362159729, 0.8414709568023682},
              {1, 1, 0.950415313243866, 0.3109835982322693},
              {1, 7, 0.9999999403953552, 0.0003162277862429619},
              {100, 0, 0.8623188734054565, -0.5063656568527222},
              {100, 1, 0.978682816028595, 0.20537757873535156},
              {100, 7, 0.999500036239624, 0.031617507338523865}});
}

TEST_CASE("rope: linear") {
  check_rope({.kind = RopeKind::linear, .theta = 10000, .factor = 4},
             {0.25, 0.07905694097280502, 0.02500000037252903, 0.007905694656074047, 0.0024999999441206455,
              0.0007905694656074047, 0.0002500000118743628, 7.905694656074047e-05},
             {{1, 0, 0.9689124226570129, 0.24740396440029144},
              {1, 4, 0.9999968905584717, 0.0024999973829835653},
              {100, 1, -0.051689330488443375, 0.9986631870269775},
              {100, 7, 0.9999687671661377, 0.007905612699687481}});
}

TEST_CASE("rope: llama3, with wavelengths kept, interpolated and divided") {
  check_rope({.kind = RopeKind::llama3,
              .theta = 500000,
              .factor = 8,
              .low_freq_factor = 1,
              .high_freq_factor = 4,
              .original_positions = 64},
             {1.0, 0.07940301299095154, 0.004700753837823868, 0.0009115831344388425, 0.00017677668074611574,
              3.428102354519069e-05, 6.647869668086059e-06, 1.289173155782919e-06},
             {{1, 0, 0.5403023362159729, 0.8414709568023682},
              {1, 1, 0.9968492388725281, 0.07931960374116898},
              {100, 1, -0.0862126275897026, 0.9962767362594604},
              {100, 4, 0.9998437762260437, 0.01767674833536148},
              {100, 7, 1.0, 0.00012891730875708163}});
}
