#include "cli/window_flags.h"

#include "cli/checks.h"

namespace tandem::cli {
namespace {

// A flag that takes one of some words; each stands for a value.
template <typename T, size_t N>
void add_words(CLI::App& command, const char* flag, const Word<T> (&words)[N], T& value, const std::string& help) {
  std::vector<std::string> known;
  for (const auto& [word, meaning] : words) known.emplace_back(word);
  command
      .add_option_function<std::string>(
          flag,
          [&words, &value](const std::string& text) {
            for (const auto& [word, meaning] : words)
              if (text == word) value = meaning;
          },
          help)
      ->check(CLI::IsMember(known));
}

std::string auto_or_id(const std::string& text) {
  std::string number = text;
  return text == "auto" ? "" : whole_number(0, 0x7fffffff)(number);
}

}  // namespace

void add_format_flag(CLI::App& command, RawFormat& format) {
  add_words(command, "--format", kRawFormats, format, "auto: by the header; u16 or u32: tokens without one");
}

void add_window_flags(CLI::App& command, WindowOptions& options) {
  options.document_end.where = "--document-end";
  add_words(command, "--packing", kPackings, options.packing,
            "stream: consecutive windows; whole: windows of whole documents, which are kept apart");
  command.add_flag("--separate-documents", options.separate_documents, "documents do not see each other");
  command
      .add_option_function<std::string>(
          "--document-end",
          [&end = options.document_end](const std::string& text) {
            end.automatic = text == "auto";
            if (!end.automatic) end.token = int32_t(std::stoul(text));
          },
          "auto: the file's document starts, or else the tokenizer's end token; or a token id")
      ->check(CLI::Validator(auto_or_id, "auto or a token id"));
}

}  // namespace tandem::cli
