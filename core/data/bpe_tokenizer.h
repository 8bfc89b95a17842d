// A tokenizer of a tokenizer.json: added tokens, normalizer, pieces, BPE, decoder. Equal to the Python package
// `tokenizers`, id for id.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/data/added_tokens.h"
#include "core/data/bpe.h"
#include "core/data/normalize.h"
#include "core/data/pretokenize.h"
#include "core/data/token_decoder.h"
#include "core/data/tokenizer.h"

namespace tandem {

// What a tokenizer.json says.
struct BpeTokenizerParts {
  std::string where;  // for messages
  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizer;
  std::vector<NormalizerStep> prefix;  // what the pre-tokenizer does to the text of each part between added tokens
  bool prefix_at_start_only = false;   // its Prepend is for the start of the text alone
  std::vector<PieceStep> pieces;
  std::shared_ptr<const TokenTable> tokens;  // the model's
  std::vector<Merge> merges;
  BpeOptions options;
  std::optional<std::vector<DecoderStep>> decoder;
  std::optional<int32_t> bos;
};

class BpeTokenizer : public Tokenizer {
 public:
  explicit BpeTokenizer(BpeTokenizerParts parts);

  uint32_t vocabulary_size() const override;
  std::optional<int32_t> id_of(std::string_view token) const override;
  std::optional<int32_t> bos() const override { return parts_.bos; }
  using Tokenizer::encode;
  void encode(std::string_view text, const EncodeOptions& options, Encoding& out) const override;
  size_t cut(std::string_view text, size_t from) const override;
  std::string decode(std::span<const int32_t> tokens) const override;

 private:
  // Where a text may be cut: before what is not \s, behind a line end or one that no \s stands before; between two
  // characters that no merge goes over.
  enum class Cuts : uint8_t { nowhere, lines, lone_lines, characters };

  struct Workspace {
    BpeWorkspace bpe;
    std::vector<size_t> ends;
    std::vector<Symbol> symbols;
  };
  std::unique_ptr<Workspace> take_workspace() const;
  void give_back(std::unique_ptr<Workspace> workspace) const;

  struct Job;  // one call of encode
  void encode_part(Job& job, ByteRange range) const;
  void encode_pieces(Job& job, const Normalized& text) const;

  Cuts cuts() const;
  std::string normalized(std::string_view part) const;
  bool splits_at(std::string_view text, size_t place) const;
  bool meets_added_token(std::string_view text, size_t place) const;

  BpeTokenizerParts parts_;
  Bpe bpe_;
  AddedTokens as_they_are_, in_normalized_;
  TokenTable added_texts_;
  Cuts cuts_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> free_;  // one per thread that has encoded at once
};

}  // namespace tandem
