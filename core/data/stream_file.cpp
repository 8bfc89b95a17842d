#include "core/data/stream_file.h"

#include <algorithm>
#include <cstring>

#include "core/abi/state_codes.h"

namespace tandem {
namespace {

constexpr char kMagic[8] = {'T', 'N', 'D', 'M', 'S', 'T', 'R', 'M'};
constexpr uint32_t kVersion = 1;

// The file's first bytes, little-endian.
struct Stored {
  char magic[8];
  uint32_t version, hidden, layer, sequence_length;
  uint64_t windows, tokens, base;
  char recipe[8];  // zeros behind
  uint64_t zero;
};
static_assert(sizeof(Stored) == 64);

Stored stored(const StreamHeader& header) {
  Stored s{
      {}, kVersion, header.hidden, header.layer, header.sequence_length, header.windows, header.tokens, header.base,
      {}, 0};
  std::memcpy(s.magic, kMagic, sizeof(kMagic));
  std::memcpy(s.recipe, header.recipe.data(), std::min(header.recipe.size(), sizeof(s.recipe)));
  return s;
}

// Says in words how a file's header differs from the wanted one; empty where it does not.
std::string difference(const Stored& is, const Stored& wanted) {
  const auto number = [](const char* what, uint64_t a, uint64_t b) {
    return a == b ? std::string() : fmt::format("{} {}, expected {}", what, a, b);
  };
  const auto text = [](const Stored& s) { return std::string(s.recipe, strnlen(s.recipe, sizeof(s.recipe))); };
  for (const std::string& found :
       {number("is of version", is.version, wanted.version), number("has hidden size", is.hidden, wanted.hidden),
        number("holds the stream that enters layer", is.layer, wanted.layer),
        number("has windows of sequence length", is.sequence_length, wanted.sequence_length),
        number("has a number of windows of", is.windows, wanted.windows)})
    if (!found.empty()) return found;
  if (text(is) != text(wanted))
    return fmt::format("was made under the recipe {:.8}, expected {}", text(is), text(wanted));
  if (is.tokens != wanted.tokens)
    return fmt::format("was made of other tokens, or of tokens packed otherwise (XXH3 {:016x}, expected {:016x})",
                       is.tokens, wanted.tokens);
  if (is.base != wanted.base)
    return fmt::format("was made by another base below layer {} (XXH3 {:016x}, expected {:016x})", wanted.layer,
                       is.base, wanted.base);
  return "";
}

}  // namespace

uint64_t StreamHeader::code_bytes() const {
  return uint64_t(sequence_length) * hidden;
}

uint64_t StreamHeader::scale_bytes() const {
  return uint64_t(sequence_length) * abi::state_blocks(hidden);
}

uint64_t StreamHeader::file_bytes() const {
  return sizeof(Stored) + windows * sequence_length * abi::coded_row_bytes(hidden);
}

StreamFile::StreamFile(std::string path, const StreamHeader& wanted) : file_(std::move(path)), header_(wanted) {
  constexpr const char* kRemedy = "remove it to have it made anew, or name another replay.directory";
  const std::span<const std::byte> bytes = file_.bytes();
  Stored is{};
  if (bytes.size() >= sizeof(is)) std::memcpy(&is, bytes.data(), sizeof(is));
  if (std::memcmp(is.magic, kMagic, sizeof(kMagic)) != 0)
    fail(Exit::input, file_.path(), "is not a file of stored streams; {}", kRemedy);
  if (const std::string found = difference(is, stored(wanted)); !found.empty())
    fail(Exit::input, file_.path(), "{}; {}", found, kRemedy);
  if (bytes.size() != wanted.file_bytes())
    fail(Exit::input, file_.path(), "has {} bytes, expected {}; {}", bytes.size(), wanted.file_bytes(), kRemedy);
}

std::span<const std::byte> StreamFile::codes(uint64_t window) const {
  return file_.bytes().subspan(sizeof(Stored) + window * header_.code_bytes(), header_.code_bytes());
}

std::span<const std::byte> StreamFile::scales(uint64_t window) const {
  const uint64_t first = sizeof(Stored) + header_.windows * header_.code_bytes();
  return file_.bytes().subspan(first + window * header_.scale_bytes(), header_.scale_bytes());
}

StreamWriter::StreamWriter(std::string path, const StreamHeader& header)
    : path_(std::move(path)), header_(header), scales_(path_), file_(beside(path_)) {
  const Stored first = stored(header);
  try {
    file_.write(std::as_bytes(std::span(&first, 1)));
  } catch (const Error&) {  // no destructor follows
    remove_all(beside(path_));
    throw;
  }
}

StreamWriter::~StreamWriter() {
  if (!finished_) remove_all(beside(path_));
}

void StreamWriter::append(std::span<const std::byte> codes, std::span<const std::byte> scales) {
  file_.write(codes);
  scales_.append(scales);
}

void StreamWriter::finish() {
  scales_.for_each_part([&](std::span<const std::byte> part) { file_.write(part); });
  file_.finish();
  rename_synced(beside(path_), path_);
  finished_ = true;
}

}  // namespace tandem
