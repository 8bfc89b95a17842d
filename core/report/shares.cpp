#include "core/report/shares.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/report/text.h"

namespace tandem::report {
namespace {

struct ClassName {
  std::string_view plan, page;  // as plan.json and the page have it
};
// The colour of a class is its place here.
constexpr ClassName kClasses[] = {{"e4m3 products", "products in e4m3"},
                                  {"bf16 products", "products in bf16"},
                                  {"f32 products", "products in f32"},
                                  {"attention", "attention"},
                                  {"memory passes", "passes over memory"},
                                  {"optimizer", "optimizer"},
                                  {"exchange", "exchange"}};
constexpr int kCopiesColour = 7, kDataColour = 8, kRestColour = 9;

bool is_product(const TimePart& part) {
  return part.name.starts_with("products");
}

struct ByteName {
  std::string_view row, part;
};
constexpr std::string_view kParts[] = {"parameters",  "gradients", "states",  "codes",
                                       "activations", "staging",   "context", "other"};
constexpr ByteName kRows[] = {{"parameters", "parameters"},   {"gradients", "gradients"},
                              {"quantized copies", "codes"},  {"logits", "activations"},
                              {"inputs and report", "other"}, {"scalars and tables", "other"},
                              {"workspaces", "other"},        {"alignment and gaps", "other"},
                              {"staging", "staging"},         {"reserve", "context"}};

// Rows that no name is known of are the optimizer's, which names its states itself.
std::string_view part_of(std::string_view row) {
  if (row.starts_with("activations")) return "activations";
  const auto found = std::ranges::find(kRows, row, &ByteName::row);
  return found == std::end(kRows) ? "states" : found->part;
}

}  // namespace

StepTime step_time(const History& history, const RunFiles& files) {
  StepTime time;
  if (history.quantiles.seconds.count() == 0) return time;
  time.median = history.quantiles.seconds.median();
  time.measured = files.profile.has_value();
  const ProfileFile profile = files.profile.value_or(ProfileFile{});
  for (const CostClass& c : time.measured ? profile.classes : files.plan.classes) {
    const auto known = std::ranges::find(kClasses, c.name, &ClassName::plan);
    if (known == std::end(kClasses) || !std::isfinite(c.seconds)) continue;  // copies run beside what computes
    double seconds = c.seconds;
    if (c.name == "exchange")
      seconds = profile.exposed_exchange.value_or(files.plan.exposed_exchange.value_or(seconds));
    time.parts.push_back({std::string(known->page), seconds, c.floor, int(known - std::begin(kClasses))});
  }
  const bool timed = history.quantiles.copy_seconds.count() > 0;
  const double copies = timed ? history.quantiles.copy_seconds.median()
                              : profile.exposed_copy.value_or(files.plan.exposed_copy.value_or(0));
  if (copies > 0) time.parts.push_back({"waiting for copies", copies, 0, kCopiesColour});
  if (history.quantiles.data_seconds.count() > 0)
    time.parts.push_back({"waiting for data", history.quantiles.data_seconds.median(), 0, kDataColour});
  std::ranges::stable_sort(time.parts, {}, &TimePart::colour);
  double sum = 0;
  for (const TimePart& part : time.parts) sum += part.seconds;
  if (sum > time.median) {
    time.scale = sum > 0 ? time.median / sum : 1;
    for (TimePart& part : time.parts) part.seconds *= time.scale;
    sum = time.median;
  }
  time.parts.push_back({"the rest", time.median - sum, 0, kRestColour});
  return time;
}

std::string sentence_of(const StepTime& time) {
  double products = 0, floor = 0;
  for (const TimePart& part : time.parts)
    if (is_product(part)) products += part.seconds, floor += part.floor;
  std::string text;
  const auto share = [&](double seconds) { return fmt::format("{:.1f}%", 100 * seconds / time.median); };
  if (products > 0 && time.median > 0) {
    text = fmt::format("Products take {} of the step", share(products));
    if (floor > 0) text += fmt::format(" at {:.2f} of their floor", products / floor);
  }
  for (const TimePart& part : time.parts)
    if (part.colour == kCopiesColour || part.colour == kDataColour || part.colour == kRestColour)
      if (time.median > 0 && part.seconds >= 0.001 * time.median) {
        const std::string clause = fmt::format("{} takes {}", part.name, share(part.seconds));
        text += (text.empty() ? "" : "; ") + clause;
      }
  if (text.empty()) return "";
  text[0] = char(text[0] >= 'a' && text[0] <= 'z' ? text[0] - 'a' + 'A' : text[0]);
  return text + ".";
}

Bytes bytes_of(const RunFiles& files) {
  Bytes bytes;
  if (files.plan.bytes.empty()) return bytes;
  for (size_t i = 0; i < std::size(kParts); ++i) bytes.parts.push_back({std::string(kParts[i]), 0, 0, int(i)});
  for (const ByteLine& row : files.plan.bytes) {
    BytePart& part = *std::ranges::find(bytes.parts, part_of(row.name), &BytePart::name);
    part.device += row.device;
    part.host += row.host;
    bytes.device += row.device;
    bytes.host += row.host;
  }
  bytes.device_budget = files.plan.device_budget;
  bytes.host_budget = files.plan.host_budget;
  return bytes;
}

}  // namespace tandem::report
