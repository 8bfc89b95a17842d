// A Megatron index: the magic, u64 1, u8 dtype, u64 sequences, u64 document entries; then i32 lengths and i64 byte
// offsets of the sequences, and i64 first sequences of the documents, the last one the number of sequences.
#include <cstring>

#include "core/base/error.h"
#include "core/data/token_layout.h"

namespace tandem {
namespace {

constexpr std::string_view kMagic("MMIDIDX\0\0", 9);
constexpr uint64_t kHead = 34;  // bytes
constexpr uint8_t kInt32 = 4, kUint16 = 8;

struct Index {
  const MappedFile& file;
  uint64_t sequences = 0, entries = 0;

  template <typename T>
  T at(uint64_t offset) const {
    T value;
    std::memcpy(&value, file.bytes().data() + offset, sizeof value);
    return value;
  }
  uint64_t length_offset(uint64_t s) const { return kHead + 4 * s; }
  uint64_t byte_offset(uint64_t s) const { return length_offset(sequences) + 8 * s; }
  uint64_t document_offset(uint64_t e) const { return byte_offset(sequences) + 8 * e; }

  [[noreturn]] void wrong(uint64_t offset, std::string_view what, int64_t is, std::string_view expected) const {
    fail(Exit::input, file.path(), "offset {}: {} is {}, expected {}", offset, what, is, expected);
  }
};

Index read_head(const MappedFile& file) {
  Index index{file};
  const uint64_t bytes = file.bytes().size();
  if (bytes < kHead) fail(Exit::input, file.path(), "offset {}: ends inside the header of {} bytes", bytes, kHead);
  if (index.at<uint64_t>(9) != 1) index.wrong(9, "the version", index.at<int64_t>(9), "1");
  index.sequences = index.at<uint64_t>(18);
  index.entries = index.at<uint64_t>(26);
  const uint64_t most = bytes / 8;  // keeps the sum below from wrapping round
  if (index.sequences > most || index.entries > most || index.document_offset(index.entries) != bytes)
    fail(Exit::input, file.path(), "offset 18: {} sequences and {} document entries do not fill its {} bytes",
         index.sequences, index.entries, bytes);
  if (index.entries == 0) index.wrong(26, "the number of document entries", 0, "1 or more");
  return index;
}

uint64_t token_bytes_of(const Index& index) {
  const auto dtype = index.at<uint8_t>(17);
  if (dtype != kInt32 && dtype != kUint16) index.wrong(17, "the dtype", dtype, "4 (int32) or 8 (uint16)");
  return dtype == kInt32 ? 4 : 2;
}

// Checks that the sequences lie one behind the other; returns their tokens.
uint64_t check_sequences(const Index& index, uint64_t token_bytes) {
  uint64_t tokens = 0;
  for (uint64_t s = 0; s < index.sequences; ++s) {
    const auto length = index.at<int32_t>(index.length_offset(s));
    if (length < 0) index.wrong(index.length_offset(s), "the length of a sequence", length, "0 or more");
    const auto offset = index.at<int64_t>(index.byte_offset(s));
    if (uint64_t(offset) != tokens * token_bytes)
      index.wrong(index.byte_offset(s), fmt::format("the byte offset of sequence {}", s), offset,
                  fmt::format("{}, the end of the one before", tokens * token_bytes));
    tokens += uint64_t(length);
  }
  return tokens;
}

// Documents without tokens are left out.
Documents read_documents(const Index& index, uint64_t token_bytes, uint64_t tokens) {
  std::vector<uint64_t> starts;
  int64_t before = 0;
  for (uint64_t e = 0; e < index.entries; ++e) {
    const uint64_t offset = index.document_offset(e);
    const auto sequence = index.at<int64_t>(offset);
    const bool last = e + 1 == index.entries;
    if (e == 0 && sequence != 0) index.wrong(offset, "the first document's first sequence", sequence, "0");
    if (sequence < before || uint64_t(sequence) > index.sequences || (last && uint64_t(sequence) != index.sequences))
      index.wrong(offset, "a document's first sequence", sequence,
                  fmt::format("{} to {}", last ? index.sequences : before, index.sequences));
    before = sequence;
    const uint64_t token = uint64_t(sequence) == index.sequences
                               ? tokens
                               : uint64_t(index.at<int64_t>(index.byte_offset(uint64_t(sequence)))) / token_bytes;
    if (starts.empty() || token > starts.back()) starts.push_back(token);
  }
  return tokens == 0 ? Documents() : Documents(std::move(starts));
}

}  // namespace

bool is_megatron_index(const MappedFile& file) {
  return file.bytes().size() >= kMagic.size() && std::memcmp(file.bytes().data(), kMagic.data(), kMagic.size()) == 0;
}

std::string megatron_tokens(const std::string& index) {
  if (!index.ends_with(".idx"))
    fail(Exit::input, index, "is a Megatron index under another name, expected NAME.idx beside NAME.bin");
  return index.substr(0, index.size() - 4) + ".bin";
}

TokenLayout read_megatron(const MappedFile& file, const MappedFile& tokens) {
  const Index index = read_head(file);
  TokenLayout layout{.format = TokenFormat::megatron, .token_bytes = token_bytes_of(index)};
  layout.size = check_sequences(index, layout.token_bytes);
  layout.documents = read_documents(index, layout.token_bytes, layout.size);
  const uint64_t bytes = tokens.bytes().size(), expected = layout.size * layout.token_bytes;
  if (bytes != expected)
    fail(Exit::input, tokens.path(), "offset {}: holds {} bytes, expected {} for the {} tokens of {}",
         std::min(bytes, expected), bytes, expected, layout.size, file.path());
  return layout;
}

}  // namespace tandem
