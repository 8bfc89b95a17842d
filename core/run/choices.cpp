#include "core/run/choices.h"

#include <fmt/ranges.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/run/manifest.h"

namespace tandem {
namespace {

constexpr const char* kSources[kChoiceSources] = {"", "cache", "timed", "default"};

}  // namespace

ChoiceRules read_choices(const std::string& file) {
  ChoiceRules rules{.given = {}, .timed = false};
  if (file == "default") return rules;
  const std::string text = read_text(file);
  const Json json = parse_json(text, file);
  if (json.is_object() && json.contains("format")) {
    rules.given = parse_manifest(text, file).kernels;
    return rules;
  }
  const Json& kernels = json.is_object() && json.contains("kernels") ? json.at("kernels") : json;
  const auto wrong = [&] {
    fail(Exit::input, file,
         "names no kernels; expected a plan.json, a checkpoint's manifest.json, or an object of texts by GEMM");
  };
  if (!kernels.is_object()) wrong();
  for (const auto& item : kernels.items()) {
    if (!item.value().is_string()) wrong();
    rules.given[item.key()] = item.value().get<std::string>();
  }
  return rules;
}

std::string KernelRecord::text() const {
  std::vector<std::string> parts;
  for (const auto& [source, count] : from)
    parts.push_back(source == "timed"     ? fmt::format("{} timed here", count)
                    : source == "default" ? fmt::format("{} by default", count)
                                          : fmt::format("{} from the {}", count, source));
  return fmt::format("{}", fmt::join(parts, ", "));
}

KernelRecord record_kernels(Backend& backend, const std::string& given) {
  KernelRecord record;
  const KernelTable* kernels = backend.kernels();
  if (kernels == nullptr) return record;
  record.kernels = kernels->chosen();
  for (size_t i = 0; i < kChoiceSources; ++i)
    if (const size_t count = kernels->counts()[i]; count > 0)
      record.from.push_back({ChoiceSource(i) == ChoiceSource::given ? given : kSources[i], count});
  return record;
}

}  // namespace tandem
