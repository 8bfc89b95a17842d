// A plot as a <figure>: curves with bands over the steps of runs, in SVG that stretches, with its labels beside.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/report/series.h"

namespace tandem::report {

// What lies on a plot's horizontal axis.
enum class Axis : uint8_t { tokens, steps };

struct Curve {
  const Series* series = nullptr;
  size_t run = 0;
  size_t colour = 0;  // and dashes
  std::string name;   // what a reading calls it: "loss", or the run's name
  std::string key;    // under which the page's JSON has it
  bool dots = false;  // figures are points with a line between; else a line in a band
};

// Where something happened, drawn as strokes at the plot's foot.
struct Marks {
  const Series* series = nullptr;
  size_t run = 0;
  size_t row = 0;   // each kind has one
  std::string key;  // "skipped", which is a class of the style sheet too
};

struct Plot {
  std::string id;       // "loss"
  std::string heading;  // what the axis counts: "Nats per token,"
  std::string caption;  // HTML
  Axis axis = Axis::tokens;
  bool from_zero = false;  // the axis starts at 0
  bool tall = false;
  std::vector<Curve> curves;
  std::vector<Marks> marks;
  std::vector<double> levels;  // horizontal lines: where gradients are clipped
  std::string described;       // what an SVG's <desc> says, in words
};

std::string figure_of(const Plot& plot);

// "Loss falls from 10.2 at step 1 to 2.31 at step 1000; lowest 2.29 at 961, highest 10.2 at 1." Empty where there is
// nothing.
std::string words_for(const std::string& name, const Series& series);

// Ticks at 1, 2 or 5 times a power of ten, from least to largest, `most` of them at most.
std::vector<double> ticks(double least, double largest, size_t most);

}  // namespace tandem::report
