// Token files, read through a memory map: see token_layout.h for the formats.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/token_layout.h"

namespace tandem {

class TokenFile {
 public:
  // Maps the file and scans it once; a Megatron index brings the tokens beside it. Exit::input, naming file and byte
  // offset: what read_layout and read_megatron refuse; a token of 2^31 or more.
  explicit TokenFile(const std::string& path, RawFormat raw = RawFormat::none);

  const std::string& path() const { return file_.path(); }  // in tokens
  TokenFormat format() const { return layout_.format; }
  uint64_t size() const { return layout_.size; }
  int32_t vocabulary_size() const { return layout_.vocabulary_size; }    // what the header says; 0: nothing
  const Documents& documents() const { return layout_.documents; }       // what the file says of them
  uint64_t offset_of(uint64_t i) const { return layout_.offset_of(i); }  // byte
  bool has_mask() const { return !layout_.mask.empty(); }

  // Token i < size().
  int32_t token(uint64_t i) const {
    return layout_.token_bytes == 2 ? int32_t(values<uint16_t>()[i]) : values<int32_t>()[i];
  }
  // True if token i counts as a target, for the input at i - 1.
  bool valid_target(uint64_t i) const {
    return !has_mask() || ((std::to_integer<uint8_t>(layout_.mask[i / 8]) >> (i % 8)) & 1);
  }
  // The valid targets among tokens first .. last - 1.
  uint64_t valid_targets(uint64_t first, uint64_t last) const;
  // The valid targets that have an input, so among tokens 1 .. size() - 1.
  uint64_t targets() const { return size() == 0 ? 0 : valid_targets(1, size()); }

  // Exit::input naming the first token that is vocabulary or more, and its byte offset.
  void check_vocabulary(uint64_t vocabulary) const;

 private:
  template <typename T>
  const T* values() const {
    return reinterpret_cast<const T*>(file_.bytes().data() + layout_.first_byte);
  }
  template <typename T>
  void scan();

  MappedFile file_;
  TokenLayout layout_;
  int32_t largest_ = -1;  // token
};

using TokenFiles = std::vector<std::shared_ptr<const TokenFile>>;

// Opens the files and checks their tokens against the model's vocabulary. Exit::input.
TokenFiles open_token_files(const std::vector<std::string>& paths, uint64_t vocabulary,
                            RawFormat raw = RawFormat::none);

// The files that hold what a token file names: itself, and a Megatron index's tokens.
std::vector<std::string> parts_of(const std::string& path, RawFormat raw);

}  // namespace tandem
