// A line of a .jsonl file: a document, and what of it is to be learned.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/tokenizer.h"

namespace tandem {

// What the end token behind a document is.
enum class RowEnd : uint8_t { target, masked, none };

struct Row {
  std::string text;
  std::optional<std::vector<ByteRange>> targets;  // ascending and apart, none of them empty; no value: all of the text
  RowEnd end = RowEnd::target;
};

// line: {"text": S}, {"text": S, "targets": [[a, b], ...]} with byte ranges of S, or {"prompt": S, "completion": S};
// each may have "end". Other keys are not read. place: FILE:LINE, for messages. Exit::input: anything else;
// Exit::configuration: a chat, which tools/tokenize renders.
Row parse_row(std::string_view line, const std::string& place);

}  // namespace tandem
