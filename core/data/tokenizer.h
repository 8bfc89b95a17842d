// Tokenizers: text to token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

// Bytes begin .. end - 1 of a text.
struct ByteRange {
  uint64_t begin = 0, end = 0;
  bool operator==(const ByteRange&) const = default;
};

struct Encoding {
  std::vector<int32_t> ids;
  std::vector<ByteRange> ranges;  // (ids) the bytes of the text that each token stands for, where they were asked for
  uint64_t special = 0;           // special tokens that the text spells out
};

struct EncodeOptions {
  bool special_tokens = true;  // a special token spelled out in the text is its id; false: text like any other
  bool ranges = false;         // a character that normalization changes counts whole for each of its tokens
  bool continues = false;      // the text goes on behind a cut; ranges start at the cut
};

// Safe to use from several threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual uint32_t vocabulary_size() const = 0;                            // every id is below
  virtual std::optional<int32_t> id_of(std::string_view token) const = 0;  // added tokens included
  virtual std::optional<int32_t> bos() const { return {}; }                // what the model's prompts begin with
  virtual std::optional<int32_t> end() const { return {}; }                // a document's, where no file need name it
  virtual bool takes_any_bytes() const { return false; }                   // else texts are valid UTF-8

  // Appends the text's tokens to out. Nothing is added: neither bos nor an end token.
  virtual void encode(std::string_view text, const EncodeOptions& options, Encoding& out) const = 0;
  std::vector<int32_t> encode(std::string_view text) const;

  // The first place from `from` on, which is above 0, where text may be cut: its parts, each but the first encoded with
  // `continues`, have the tokens of the whole. text.size() where there is none.
  virtual size_t cut(std::string_view text, size_t from) const = 0;

  // Valid UTF-8: invalid bytes and ids without a token become U+FFFD.
  virtual std::string decode(std::span<const int32_t> tokens) const = 0;
};

// where: "bytes" or a model's directory; vocabulary: the model's, which decides if a directory without tokenizer files
// means bytes. Exit::configuration: no tokenizer, or one of a kind that is not read. Exit::input: a malformed one.
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& where, uint64_t vocabulary);

// The same, but null where there is no tokenizer, or it is of a kind that is not read.
std::unique_ptr<Tokenizer> find_tokenizer(const std::string& where, uint64_t vocabulary);

// The id of the token that ends a document: 256 for bytes, else what tokenizer_config.json names; none where it does
// not, or is not there. Exit::input: malformed files. tokenizer: the one of where.
std::optional<int32_t> end_token(const Tokenizer& tokenizer, const std::string& where);

// The same of a tokenizer that need not be of a kind that is read.
std::optional<int32_t> end_token(const std::string& where, uint64_t vocabulary);

}  // namespace tandem
