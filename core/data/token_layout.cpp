#include "core/data/token_layout.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/error.h"

namespace tandem {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are mapped as they are");

constexpr uint32_t kLlmcMagic = 20240520, kLlmcEvaluation = 20240522, kLlmcWideMagic = 20240801;
constexpr uint32_t kLlmcVersion = 1, kLlmcWideVersion = 7;

// A header of int32[256], which says at an offset what is wrong with a word of it.
struct Header {
  const MappedFile& file;

  uint32_t word(uint64_t i) const { return reinterpret_cast<const uint32_t*>(file.bytes().data())[i]; }
  bool has(std::string_view text, uint64_t first_word) const {
    return std::memcmp(file.bytes().data() + 4 * first_word, text.data(), text.size()) == 0;
  }
  bool is_llmq() const { return has(kLlmqMagic, 0); }
  bool is_llmc() const { return word(0) == kLlmcMagic || word(0) == kLlmcWideMagic; }

  [[noreturn]] void wrong(uint64_t i, std::string_view what, std::string_view expected) const {
    fail(Exit::input, file.path(), "offset {}: {} is {}, expected {}", 4 * i, what, int32_t(word(i)), expected);
  }
  uint64_t count(uint64_t i, std::string_view what) const {
    if (int32_t(word(i)) < 0) wrong(i, what, "0 or more");
    return word(i);
  }
};

// The parts are all of the file: end is where they end.
void check_end(const MappedFile& file, uint64_t end, std::string_view parts) {
  const uint64_t bytes = file.bytes().size();
  if (bytes < end) fail(Exit::input, file.path(), "offset {}: truncated; {} want {} bytes", bytes, parts, end);
  if (bytes > end) fail(Exit::input, file.path(), "offset {}: {} more bytes than {} want", end, bytes - end, parts);
}

// The section behind tokens and mask: zeros up to a multiple of 4, then count + 1 ascending tokens.
Documents read_documents(const MappedFile& file, uint64_t before, uint64_t count, uint64_t tokens) {
  const uint64_t first = (before + 3) / 4 * 4;
  for (uint64_t i = before; i < first; ++i)
    if (file.bytes()[i] != std::byte(0))
      fail(Exit::input, file.path(), "offset {}: expected a zero in front of the document starts", i);
  const std::span starts(reinterpret_cast<const uint32_t*>(file.bytes().data() + first), count + 1);
  for (uint64_t d = 0; d <= count; ++d) {
    const bool right = d == 0 ? starts[d] == 0 : d == count ? starts[d] == tokens : starts[d] > starts[d - 1];
    if (!right || (d == count && starts[d] <= starts[d - 1]))
      fail(Exit::input, file.path(), "offset {}: document {} starts at token {}, expected {}", first + 4 * d, d,
           starts[d],
           d == 0       ? "0"
           : d == count ? fmt::format("{}, the end of the tokens", tokens)
                        : fmt::format("one above {}", starts[d - 1]));
  }
  return Documents(starts);
}

TokenLayout read_llmq(const Header& header) {
  if (header.word(2) != 1 && header.word(2) != 2) header.wrong(2, "the version", "1 or 2");
  if (header.word(3) != 4) header.wrong(3, "the size of a token in bytes", "4");
  TokenLayout layout{.format = header.word(2) == 1 ? TokenFormat::llmq_v1 : TokenFormat::llmq_v2,
                     .first_byte = kTokenFileHeader,
                     .size = header.count(4, "the token count")};
  const MappedFile& file = header.file;
  const uint64_t tokens_end = layout.offset_of(layout.size);
  std::string parts = fmt::format("the header's {} tokens", layout.size);
  if (layout.format == TokenFormat::llmq_v1) return check_end(file, tokens_end, parts), layout;

  layout.vocabulary_size = std::max(0, int32_t(header.word(5)));
  if (header.word(6) > 1) header.wrong(6, "the mask flag", "0 or 1");
  const uint64_t mask_bytes = header.word(6) == 1 ? (layout.size + 7) / 8 : 0, mask_end = tokens_end + mask_bytes;
  if (mask_bytes > 0) parts += " and their mask";
  if (!header.has(kDocumentsMagic, 8)) {
    check_end(file, mask_end, parts);
  } else {
    const uint64_t documents = header.word(10);
    if (documents < 1 || documents > layout.size)
      header.wrong(10, "the number of documents", fmt::format("1 to {}, the number of tokens", layout.size));
    check_end(file, (mask_end + 3) / 4 * 4 + 4 * (documents + 1),
              fmt::format("{} and {} document starts", parts, documents));
    layout.documents = read_documents(file, mask_end, documents, layout.size);
  }
  layout.mask = file.bytes().subspan(tokens_end, mask_bytes);
  return layout;
}

TokenLayout read_llmc(const Header& header) {
  const bool wide = header.word(0) == kLlmcWideMagic;
  if (header.word(1) != (wide ? kLlmcWideVersion : kLlmcVersion))
    header.wrong(1, "the version", wide ? "7 (32-bit tokens)" : "1 (16-bit tokens)");
  TokenLayout layout{.format = wide ? TokenFormat::llm_c_u32 : TokenFormat::llm_c,
                     .token_bytes = wide ? 4u : 2u,
                     .first_byte = kTokenFileHeader,
                     .size = header.count(2, "the token count")};
  check_end(header.file, layout.offset_of(layout.size), fmt::format("the header's {} tokens", layout.size));
  return layout;
}

TokenLayout read_raw(const MappedFile& file, RawFormat raw) {
  const bool narrow = raw == RawFormat::u16;
  TokenLayout layout{.format = narrow ? TokenFormat::u16 : TokenFormat::u32, .token_bytes = narrow ? 2u : 4u};
  const uint64_t bytes = file.bytes().size();
  if (bytes % layout.token_bytes != 0)
    fail(Exit::input, file.path(), "holds {} bytes, expected a multiple of {}, the size of a {} token", bytes,
         layout.token_bytes, name_of(layout.format));
  layout.size = bytes / layout.token_bytes;
  return layout;
}

[[noreturn]] void refuse_unknown(const MappedFile& file) {
  const std::string& path = file.path();
  const Header header{file};
  if (file.bytes().size() >= 4 && header.word(0) == kLlmcEvaluation)
    fail(Exit::input, path, "offset 0: is an llm.c evaluation file ({}), expected one of tokens (20240520 or 20240801)",
         kLlmcEvaluation);
  const std::string index = path.ends_with(".bin") ? path.substr(0, path.size() - 4) + ".idx" : "";
  if (!index.empty() && file_exists(index))
    fail(Exit::input, path, "offset 0: has no known header; name {} beside it, if that is its Megatron index", index);
  const std::string raw = "tokens without a header are read by --format or data.format (u16 or u32)";
  if (file.bytes().size() < kTokenFileHeader)
    fail(Exit::input, path, "offset {}: ends inside the header of {} bytes; is it a token file? {}",
         file.bytes().size(), kTokenFileHeader, raw);
  fail(Exit::input, path, "offset 0: unknown magic, expected an LLMQ (BIN.TOK) or llm.c (20240520, 20240801) file; {}",
       raw);
}

}  // namespace

std::string_view name_of(TokenFormat format) {
  switch (format) {
    case TokenFormat::llmq_v1:
      return "llmq-v1";
    case TokenFormat::llmq_v2:
      return "llmq-v2";
    case TokenFormat::llm_c:
      return "llm.c";
    case TokenFormat::llm_c_u32:
      return "llm.c-u32";
    case TokenFormat::u16:
      return "u16";
    case TokenFormat::u32:
      return "u32";
    case TokenFormat::megatron:
      return "megatron";
  }
  return "?";
}

TokenLayout read_layout(const MappedFile& file, RawFormat raw) {
  const Header header{file};
  const bool headed = file.bytes().size() >= kTokenFileHeader && (header.is_llmq() || header.is_llmc());
  if (raw != RawFormat::none) {
    if (headed || is_megatron_index(file))
      fail(Exit::configuration, file.path(),
           "has a header, so it does not hold raw tokens; leave --format or data.format at auto");
    return read_raw(file, raw);
  }
  if (!headed) refuse_unknown(file);
  return header.is_llmq() ? read_llmq(header) : read_llmc(header);
}

}  // namespace tandem
