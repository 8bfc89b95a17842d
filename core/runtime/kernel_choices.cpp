#include "core/runtime/kernel_choices.h"

#include <algorithm>
#include <limits>
#include <span>

#include "core/base/cache_file.h"
#include "core/base/json.h"

namespace tandem {
namespace {

// An entry that cannot be read is chosen anew.
KernelChoices read_cache(const std::string& file) {
  KernelChoices choices;
  const std::vector<std::byte> data = read_cache_file(file);
  if (data.empty()) return choices;
  try {
    const Json json = parse_json({reinterpret_cast<const char*>(data.data()), data.size()}, file);
    for (const auto& item : json.items())
      if (item.value().is_string()) choices[item.key()] = item.value().get<std::string>();
  } catch (const Error&) {
    choices.clear();
  }
  return choices;
}

// The fastest by the best of a few runs each, interleaved, so that a changing clock meets all; nullopt if none runs.
std::optional<std::string> fastest(KernelProposals& proposals, const std::vector<std::string>& kernels) {
  constexpr int kRounds = 4;  // The first warms up; with fewer a single slow run decides.
  std::vector<double> best(kernels.size(), std::numeric_limits<double>::infinity());
  for (int round = 0; round < kRounds; ++round)
    for (size_t i = 0; i < kernels.size(); ++i) {
      const std::optional<double> seconds = proposals.seconds(kernels[i]);
      if (seconds && round > 0) best[i] = std::min(best[i], *seconds);
    }
  const auto least = std::ranges::min_element(best);
  if (least == best.end() || *least == std::numeric_limits<double>::infinity()) return {};
  return kernels[size_t(least - best.begin())];
}

}  // namespace

KernelTable::KernelTable(std::string cache_file)
    : cache_file_(std::move(cache_file)), cached_(read_cache(cache_file_)) {}

std::string KernelTable::take(const std::string& name, std::string kernel, ChoiceSource source) {
  ++counts_[size_t(source)];
  return chosen_[name] = std::move(kernel);
}

std::optional<std::string> KernelTable::choose(const std::string& name, KernelProposals& proposals) {
  if (const auto known = chosen_.find(name); known != chosen_.end()) return known->second;
  if (without_.contains(name)) return {};
  const auto accepted = [&](const KernelChoices& choices) {
    const auto found = choices.find(name);
    return found != choices.end() && proposals.accepts(found->second) ? &found->second : nullptr;
  };
  if (const std::string* given = accepted(rules_.given)) return take(name, *given, ChoiceSource::given);
  if (rules_.timed) {
    if (const std::string* cached = accepted(cached_)) return take(name, *cached, ChoiceSource::cache);
    if (const std::optional<std::string> timed = fastest(proposals, proposals.all())) {
      timed_[name] = *timed;
      saved_ = false;
      return take(name, *timed, ChoiceSource::timed);
    }
  } else {
    for (const std::string& kernel : proposals.all())
      if (proposals.accepts(kernel)) return take(name, kernel, ChoiceSource::first);
  }
  without_.insert(name);
  return {};
}

void KernelTable::save() {
  if (saved_) return;
  KernelChoices all = read_cache(cache_file_);  // Another process may have added to it.
  for (const auto& [name, kernel] : timed_) all[name] = kernel;
  const std::string text = Json(all).dump();
  write_cache_file(cache_file_, std::as_bytes(std::span(text)));
  saved_ = true;
}

}  // namespace tandem
