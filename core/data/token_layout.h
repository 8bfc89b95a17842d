// Where the parts of a token file lie, as its header says. docs/formats.md has the layouts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/file.h"
#include "core/data/documents.h"

namespace tandem {

enum class TokenFormat : uint8_t { llmq_v1, llmq_v2, llm_c, llm_c_u32, u16, u32, megatron };
std::string_view name_of(TokenFormat format);  // "llmq-v2", ...

// What data.format and --format say: tokens without a header are never guessed.
enum class RawFormat : uint8_t { none, u16, u32 };

// A value as configuration keys and flags spell it.
template <typename T>
struct Word {
  std::string_view word;
  T value;
};
constexpr Word<RawFormat> kRawFormats[] = {{"auto", RawFormat::none}, {"u16", RawFormat::u16}, {"u32", RawFormat::u32}};

constexpr uint64_t kTokenFileHeader = 1024;                // bytes, of LLMQ and llm.c files
constexpr std::string_view kLlmqMagic = "BIN.TOK\n";       // words 0 and 1
constexpr std::string_view kDocumentsMagic = "DOC.BEG\n";  // words 8 and 9, where document starts follow

struct TokenLayout {
  TokenFormat format = TokenFormat::llmq_v2;
  uint64_t token_bytes = 4;         // 2: unsigned
  uint64_t first_byte = 0;          // in tokens
  uint64_t size = 0;                // tokens
  int32_t vocabulary_size = 0;      // what the header says; 0: nothing
  std::span<const std::byte> mask;  // a bit per token, lowest first; empty: no mask
  Documents documents;

  uint64_t offset_of(uint64_t token) const { return first_byte + token * token_bytes; }
};

// True for the header of a Megatron index.
bool is_megatron_index(const MappedFile& file);

// The layout of a file that is no Megatron index. Exit::input, naming file and byte offset: an unknown header, a wrong
// version, a size that disagrees with the count, document starts that do not ascend. Exit::configuration: raw tokens
// asked for and a known header.
TokenLayout read_layout(const MappedFile& file, RawFormat raw);

// The tokens' file of a Megatron index: NAME.bin for NAME.idx. Exit::input: another name.
std::string megatron_tokens(const std::string& index);

// The layout of the tokens' file. Exit::input, naming the file and the byte offset at which the two disagree.
TokenLayout read_megatron(const MappedFile& index, const MappedFile& tokens);

}  // namespace tandem
