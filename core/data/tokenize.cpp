#include "core/data/tokenize.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "core/base/pipeline.h"
#include "core/base/utf8.h"
#include "core/data/named_tokenizer.h"
#include "core/data/row_encoder.h"
#include "core/data/text_reader.h"
#include "core/data/token_shards.h"

namespace tandem {
namespace {

int32_t end_of(const TokenizeOptions& options, const NamedTokenizer& named) {
  if (options.end) {
    if (const auto id = named.tokenizer->id_of(*options.end)) return *id;
    fail(Exit::configuration, "--end", "{} is not a token of {}", *options.end, options.tokenizer);
  }
  if (named.end) return *named.end;
  fail(Exit::configuration, "--end", "{} names no token that ends a document; name one with --end", options.tokenizer);
}

std::optional<int32_t> bos_of(const TokenizeOptions& options, const Tokenizer& tokenizer) {
  if (!options.bos) return {};
  if (const auto bos = tokenizer.bos()) return bos;
  fail(Exit::configuration, "--bos", "{} puts no token in front of a text", options.tokenizer);
}

void check_inputs(const TokenizeOptions& options) {
  for (const std::string& path : options.inputs) {
    const std::string_view name = without_compression(path);
    if (path != "-" && !name.ends_with(".txt") && !name.ends_with(".jsonl"))
      fail(Exit::configuration, path,
           "is neither a .txt file (one document) nor a .jsonl file (one per line), plain, .gz or .zst, nor -");
    std::error_code none;
    if (std::filesystem::equivalent(path, options.out, none))
      fail(Exit::configuration, "--out", "{} is the input {}, which is not overwritten; name another file", options.out,
           path);
  }
  if (std::ranges::count(options.inputs, "-") > 1)
    fail(Exit::configuration, "-", "is there twice; standard input is read once");
}

EncodedRows encode(const RowEncoder& encoder, const TextChunk& chunk) {
  EncodedRows out;
  if (!chunk.lines) return encoder.encode_part(chunk.text, chunk.begins, chunk.ends, out), out;
  std::string_view text = chunk.text;
  for (uint64_t number = chunk.first_line; !text.empty(); ++number) {
    const size_t length = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    encoder.encode(parse_row(line, fmt::format("{}:{}", chunk.name, number)), out);
  }
  return out;
}

void write(const EncodedRows& rows, TokenShards& shards) {
  std::span<const int32_t> tokens = rows.tokens;
  for (const EncodedRows::Run& run : rows.runs) {
    if (run.begins) shards.begin_document();
    shards.current().append(tokens.first(run.tokens), run.targets);
    if (run.ranged) shards.current().want_mask();
    tokens = tokens.subspan(run.tokens);
  }
}

}  // namespace

TokenizeResult tokenize(const TokenizeOptions& options) {
  check_inputs(options);
  const NamedTokenizer named = open_named_tokenizer(options.tokenizer);
  const Tokenizer& tokenizer = *named.tokenizer;
  const RowEncoder encoder{.tokenizer = tokenizer,
                           .end = end_of(options, named),
                           .bos = bos_of(options, tokenizer),
                           .special_tokens = options.special_tokens};
  TokenShards shards(options.out, options.shard_tokens, tokenizer.vocabulary_size());
  TextReader reader(options.inputs, tokenizer);
  TokenizeResult result;
  const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
  ordered_pipeline<TextChunk, EncodedRows>(
      options.threads == 0 ? processors : options.threads, [&] { return reader.next(); },
      [&](const TextChunk& chunk) { return encode(encoder, chunk); },
      [&](const EncodedRows& rows) {
        write(rows, shards);
        result.special += rows.special;
        result.empty += rows.empty;
      });
  if (shards.files().empty())
    fail(Exit::input, fmt::format("{}", fmt::join(options.inputs, ", ")), "{} no document, so nothing is written",
         options.inputs.size() == 1 ? "holds" : "hold");
  shards.finish();
  for (const auto& file : shards.files())
    result.files.push_back({file->path(), file->size(), file->documents(), file->targets()});
  result.replaced = reader.replaced();
  return result;
}

std::vector<int32_t> tokenize_prompt(const TokenizeOptions& options, const std::string& prompt) {
  const auto tokenizer = open_named_tokenizer(options.tokenizer).tokenizer;
  if (!tokenizer->takes_any_bytes() && !is_utf8(prompt))
    fail(Exit::configuration, "--prompt", "is not UTF-8, expected text");
  Encoding encoding;
  if (const auto bos = bos_of(options, *tokenizer)) encoding.ids.push_back(*bos);
  tokenizer->encode(prompt, {.special_tokens = options.special_tokens}, encoding);
  return std::move(encoding.ids);
}

std::string decode_tokens(const TokenizeOptions& options, const std::vector<int32_t>& tokens) {
  return open_named_tokenizer(options.tokenizer).tokenizer->decode(tokens);
}

std::string describe(const TokenizeResult& result) {
  std::string text;
  for (const TokenizeResult::File& file : result.files)
    text += fmt::format("{}: {} tokens of {} documents, {} targets ({:.1f}%)\n", file.path, file.tokens, file.documents,
                        file.targets, 100 * double(file.targets) / double(file.tokens));
  if (result.special > 0) text += fmt::format("special tokens are written out in {} documents\n", result.special);
  if (result.empty > 0) text += fmt::format("{} documents without a token are left out\n", result.empty);
  if (result.replaced > 0)
    text += fmt::format("{} parts of text were not UTF-8 and became U+FFFD each\n", result.replaced);
  return text;
}

}  // namespace tandem
