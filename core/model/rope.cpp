// Rotary frequencies and their table. Sources: Su et al. 2021 (arXiv 2104.09864); linear: Chen et al. 2023 (arXiv
// 2306.15595); llama3: long wavelengths are divided by factor, short ones kept, those between interpolated.
#include <cmath>
#include <numbers>

#include "core/base/error.h"
#include "core/model/config.h"

namespace tandem {
namespace {

double scale_llama3(const RopeConfig& rope, double frequency) {
  const double turns = double(rope.original_positions) * frequency / (2 * std::numbers::pi);  // in the original context
  if (turns < rope.low_freq_factor) return frequency / rope.factor;
  if (turns > rope.high_freq_factor) return frequency;
  const double smooth = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return (1 - smooth) * frequency / rope.factor + smooth * frequency;
}

}  // namespace

std::vector<double> rope_frequencies(const ModelConfig& config) {
  std::vector<double> frequencies(config.head_dim / 2);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double plain = std::pow(config.rope.theta, -2.0 * double(i) / config.head_dim);
    switch (config.rope.kind) {
      case RopeKind::plain:
        frequencies[i] = plain;
        break;
      case RopeKind::linear:
        frequencies[i] = plain / config.rope.factor;
        break;
      case RopeKind::llama3:
        frequencies[i] = scale_llama3(config.rope, plain);
        break;
    }
  }
  return frequencies;
}

std::vector<float> rope_table(const ModelConfig& config, uint64_t positions) {
  const std::vector<double> frequencies = rope_frequencies(config);
  std::vector<float> table;
  table.reserve(positions * config.head_dim);
  for (uint64_t position = 0; position < positions; ++position)
    for (double frequency : frequencies) {
      table.push_back(float(std::cos(double(position) * frequency)));
      table.push_back(float(std::sin(double(position) * frequency)));
    }
  return table;
}

}  // namespace tandem
