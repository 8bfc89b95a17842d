#include "cli/checks.h"

#include <algorithm>
#include <charconv>

#include "core/base/error.h"

namespace tandem::cli {
namespace {

// The text becomes the number as CLI11 reads it, without leading zeros.
template <typename T>
CLI::Validator number(T least, T most, std::string_view kind) {
  const std::string range = fmt::format("{} from {} to {}", kind, least, most);
  return CLI::Validator(
      [=](std::string& text) {
        T value{};
        const char* last = text.data() + text.size();
        const auto [end, error] = std::from_chars(text.data(), last, value);
        if (error != std::errc() || end != last || !(value >= least && value <= most))
          return fmt::format("'{}' is not {}", text, range);
        text = fmt::format("{}", value);
        return std::string();
      },
      range);
}

}  // namespace

CLI::Validator whole_number(uint64_t least, uint64_t most) {
  return number(least, most, "an integer");
}

CLI::Validator real_number(double least, double most) {
  return number(least, most, "a number");
}

void refuse_empty(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options())
    if (std::ranges::find(option->results(), "") != option->results().end())
      fail(Exit::configuration, option->get_name(), "is empty; give it a value or leave it out");
  for (const CLI::App* command : app.get_subcommands()) refuse_empty(*command);
}

void refuse_missing_values(std::span<char* const> arguments) {
  for (const std::string_view word : arguments)
    if (word.starts_with("--") && word.find('=') == word.size() - 1 && word.find('.') == word.npos)
      fail(Exit::configuration, word.substr(0, word.size() - 1), "is empty; give it a value or leave it out");
}

}  // namespace tandem::cli
