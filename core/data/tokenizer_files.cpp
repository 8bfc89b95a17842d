#include "core/data/tokenizer_files.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>

#include "core/base/error.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGeneration = "generation_config.json";

bool is_template(std::string_view name) {
  return name.ends_with(".jinja");
}

bool is_tokenizer_file(std::string_view name) {
  constexpr std::string_view whole[] = {"merges.txt", "special_tokens_map.json", "added_tokens.json", kGeneration};
  return name.starts_with("tokenizer") || name.starts_with("vocab") || name.ends_with(".model") ||
         name.ends_with(".tiktoken") || (name.starts_with("tokenization_") && name.ends_with(".py")) ||
         is_template(name) || std::ranges::find(whole, name) != std::end(whole);
}

// Links are followed, each directory once, so that a loop of them ends. Directories with a dot in their names are
// caches, or stand in the place of a file, which its reader then says.
class Search {
 public:
  std::vector<std::string> run(const fs::path& directory) {
    visit(directory, "");
    std::ranges::sort(names_);
    return std::move(names_);
  }

 private:
  void visit(const fs::path& directory, const fs::path& inside) {
    std::error_code error;
    if (!seen_.insert(fs::canonical(directory, error)).second) return;
    for (fs::directory_iterator at(directory, error); !error && at != fs::directory_iterator(); at.increment(error))
      entry(*at, inside);
    if (error) fail(Exit::input, directory.string(), "cannot be listed: {}", error.message());
  }

  void entry(const fs::directory_entry& found, const fs::path& inside) {
    const std::string name = found.path().filename();
    std::error_code none;
    const bool plain_directory = found.is_directory(none) && name.find('.') == name.npos;
    if (!plain_directory && (inside.empty() ? is_tokenizer_file(name) : is_template(name)))
      names_.push_back(inside / name);
    // one with a config.json is another model's
    else if (plain_directory && !fs::exists(found.path() / "config.json", none)) visit(found.path(), inside / name);
  }

  std::vector<std::string> names_;
  std::set<fs::path> seen_;
};

}  // namespace

TokenizerFiles tokenizer_files(const std::string& directory) {
  std::error_code none;
  if (!fs::is_directory(directory, none)) return {};
  TokenizerFiles files{Search().run(directory)};
  files.has_tokenizer = std::ranges::any_of(files.names, [](const std::string& name) { return name != kGeneration; });
  return files;
}

}  // namespace tandem
