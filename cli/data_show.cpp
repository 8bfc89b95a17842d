#include "cli/data_show.h"

#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/output.h"
#include "cli/window_flags.h"
#include "core/data/marked_text.h"
#include "core/data/named_tokenizer.h"

namespace tandem::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string path, tokenizer, color = "auto", documents;
  RawFormat format = RawFormat::none;
  WindowOptions windows;
  std::optional<uint64_t> window;
  bool json = false;
};

// Tokens to show, and the document that they are of; padding has neither.
struct Part {
  std::optional<uint64_t> document;
  MarkedTokens marked;
};

// What stands around targets.
struct Marks {
  std::string_view begin, end;
};

Marks marks_of(const std::string& color) {
  const char* term = std::getenv("TERM");
  const char* no_color = std::getenv("NO_COLOR");
  const bool terminal = isatty(STDOUT_FILENO) == 1 && term != nullptr && *term != '\0' &&
                        std::string_view(term) != "dumb" && (no_color == nullptr || *no_color == '\0');
  if (color == "always" || (color == "auto" && terminal)) return {"\x1b[32m", "\x1b[0m"};
  return {"⟦", "⟧"};
}

// A number of at most 18 digits.
std::optional<uint64_t> whole(const std::string& text) {
  const bool digits = !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == text.npos;
  return digits ? std::optional(std::stoull(text)) : std::nullopt;
}

// The documents A or A to B - 1 of "A" or "A:B".
std::pair<uint64_t, uint64_t> parse_documents(const std::string& text, uint64_t count) {
  if (text.empty()) return {0, std::min<uint64_t>(5, count)};
  const size_t colon = std::min(text.find(':'), text.size());
  const auto first = whole(text.substr(0, colon));
  const auto last = colon == text.size() ? first : whole(text.substr(colon + 1));
  const uint64_t end = !last ? 0 : colon == text.size() ? *last + 1 : *last;
  if (!first || end <= *first)
    fail(Exit::configuration, "--document", "'{}' is not a document or a range of them such as 3 or 3:8", text);
  if (end > count)
    fail(Exit::configuration, "--document", "document {} is not there; the file has {}, from 0 on", end - 1, count);
  return {*first, end};
}

std::vector<Part> document_parts(const TokenFile& file, const Options& o, const DocumentEnd& end) {
  const Documents documents = documents_of(file, end, false);
  const bool apart = o.windows.separate();
  std::vector<Part> parts;
  const auto [first, last] = parse_documents(o.documents, documents.count());
  for (uint64_t d = first; d < last; ++d)
    parts.push_back({d, {.first = documents.start(d), .tokens = documents.length(d), .first_counts = !apart}});
  return parts;
}

// The pieces of a window as the loader makes them: a first token is an input alone.
std::vector<Part> window_parts(const Windows& windows, const Documents& documents, const Options& o) {
  if (*o.window >= windows.count())
    fail(Exit::configuration, "--window", "window {} is not there; the file has {}", *o.window, windows.count());
  std::vector<Part> parts;
  windows.for_each_piece(*o.window, [&](const TokenFile&, const Piece& piece) {
    const auto document = documents.known() ? std::optional(documents.holding(piece.first)) : std::nullopt;
    parts.push_back(
        {document, {.first = piece.first, .tokens = piece.places + (piece.ends ? 0 : 1), .first_counts = false}});
  });
  return parts;
}

Json json_of(const TokenFile& file, const Part& part, const Tokenizer* tokenizer) {
  Json j{{"document", part.document ? Json(*part.document) : Json()},
         {"first", part.marked.first},
         {"tokens", part.marked.tokens},
         {"targets", part.marked.targets(file)},
         {"pieces", Json::array()}};
  for_each_run(file, part.marked, tokenizer, [&](const MarkedRun& run) {
    j["pieces"].push_back(
        {{"text", tokenizer != nullptr ? Json(run.text) : Json()}, {"ids", run.ids}, {"target", run.target}});
  });
  return j;
}

void print_part(const TokenFile& file, const Part& part, const Tokenizer* tokenizer, const Marks& marks) {
  const MarkedTokens& m = part.marked;
  print(fmt::format("document {}: tokens {}..{}, {} tokens, {} targets\n",
                    part.document ? std::to_string(*part.document) : "?", m.first, m.first + m.tokens - 1, m.tokens,
                    m.targets(file)));
  for_each_run(file, m, tokenizer, [&](const MarkedRun& run) {
    const std::string text =
        tokenizer != nullptr ? without_controls(run.text) : fmt::format("{} ", fmt::join(run.ids, " "));
    print(run.target ? fmt::format("{}{}{}", marks.begin, text, marks.end) : text);
  });
  print("\n");
}

void check_options(const Options& o) {
  if (o.window && o.windows.sequence_length == 0)
    fail(Exit::configuration, "--window", "wants --sequence-length, which says what a window is");
  if (o.window && !o.documents.empty()) fail(Exit::configuration, "--window", "and --document exclude each other");
}

Exit show(const Options& o) {
  check_options(o);
  const auto file = std::make_shared<const TokenFile>(o.path, o.format);
  const NamedTokenizer named = o.tokenizer.empty() ? NamedTokenizer() : open_named_tokenizer(o.tokenizer);
  const Tokenizer* tokenizer = named.tokenizer.get();
  WindowOptions options = o.windows;
  if (options.document_end.automatic) options.document_end.token = named.end;
  uint64_t padding = 0;
  std::vector<Part> parts;
  if (o.window) {
    const Windows windows({file}, options);
    const Documents documents =
        options.separate() ? documents_of(*file, options.document_end, false) : file->documents();
    parts = window_parts(windows, documents, o);
    padding = o.windows.sequence_length - windows.inputs(*o.window);
  } else {
    parts = document_parts(*file, o, options.document_end);
  }
  if (o.json) {
    Json j{{"documents", Json::array()}};
    for (const Part& part : parts) j["documents"].push_back(json_of(*file, part, tokenizer));
    if (o.window) j["padding"] = padding;
    return print(j.dump() + "\n"), Exit::ok;
  }
  const Marks marks = marks_of(o.color);
  for (const Part& part : parts) print_part(*file, part, tokenizer, marks);
  if (padding > 0) print(fmt::format("padding: {} places\n", padding));
  return Exit::ok;
}

}  // namespace

void add_data_show(CLI::App& data, Action& action) {
  CLI::App* command = data.add_subcommand("show", "The text of a token file, with the targets marked");
  auto o = std::make_shared<Options>();
  command->add_option("file", o->path, "a token file: LLMQ or llm.c .bin, a Megatron .idx")->required();
  command->add_option("--tokenizer", o->tokenizer, "bytes, or a model directory; without it ids are shown");
  command->add_option("--document", o->documents, "one document, 3, or some, 3:8; default: the first five");
  command->add_option("--window", o->window, "a window, as training sees it")->transform(whole_number(0, INT64_MAX));
  command->add_option("--sequence-length", o->windows.sequence_length, "places of a window")
      ->transform(whole_number(1, 1 << 20));
  add_window_flags(*command, o->windows);
  add_format_flag(*command, o->format);
  command->add_option("--color", o->color, "targets in green, or between ⟦ and ⟧: auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command->add_flag("--json", o->json, "one JSON object on standard output");
  command->callback([&action, o] { action = [o] { return show(*o); }; });
}

}  // namespace tandem::cli
