// Inputs of `data tokenize` as a stream of chunks that can be encoded side by side.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/byte_source.h"
#include "core/data/tokenizer.h"

namespace tandem {

struct TextChunk {
  std::string text;
  bool lines = false;                 // whole lines of JSONL; else a part of one document
  std::string name;                   // the input's
  uint64_t first_line = 0;            // from 1
  bool begins = false, ends = false;  // the document
};

// Reads .txt (a document), .jsonl (one a line), each also .gz and .zst, and "-" (JSONL), one after the other.
class TextReader {
 public:
  // The tokenizer says where a long document may be cut, and outlives the reader.
  TextReader(std::vector<std::string> inputs, const Tokenizer& tokenizer);

  // The next chunk, about 1 MiB; none at the end. Exit::input: an input that cannot be read, a line above 1 GiB.
  std::optional<TextChunk> next();
  // Parts of .txt inputs that were no UTF-8, and became U+FFFD each.
  uint64_t replaced() const { return replaced_; }

 private:
  // The input that is being read.
  struct Input {
    std::unique_ptr<ByteSource> source;
    bool lines = false, ended = false, begun = false;
    std::string pending;  // read, and not handed out yet
    std::string tail;     // a .txt file's: a character's first bytes
    size_t searched = 0;  // no cut in front of it
    uint64_t line = 1;
  };
  void open();
  TextChunk take_lines();
  TextChunk take_part();
  void read_more();

  std::vector<std::string> inputs_;
  const Tokenizer& tokenizer_;
  size_t current_ = 0;
  Input in_;  // inputs_[current_], where it is open
  uint64_t replaced_ = 0;
};

}  // namespace tandem
