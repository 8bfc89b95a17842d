// Tokenizers: text to token ids and back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

class Tokenizer {
 public:
  using Sink = std::function<void(std::span<const int32_t>)>;

  virtual ~Tokenizer() = default;
  virtual uint32_t vocabulary_size() const = 0;
  virtual int32_t document_end() const = 0;  // the token that ends a document
  // The text's tokens, in order and in pieces, so that a large text needs no list of all. Nothing is added.
  virtual void encode(std::string_view text, const Sink& sink) const = 0;
  // Valid UTF-8: invalid bytes and ids without text become U+FFFD.
  virtual std::string decode(std::span<const int32_t> tokens) const = 0;

  std::vector<int32_t> encode(std::string_view text) const;
};

// The id of the end token that a model directory's tokenizer files name; none where they do not, or are not there.
// Exit::input: malformed ones.
std::optional<int32_t> end_token(const std::string& directory);

// where: "bytes" or a model's directory, vocabulary: the model's. Null where the directory's tokenizer.json is of a
// kind that is read by tools/tokenize alone, or there is none and the vocabulary is too small for bytes. Exit::input: a
// malformed tokenizer.json.
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& where, uint64_t vocabulary);

}  // namespace tandem
