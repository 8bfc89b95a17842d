// libFuzzer: any bytes as lines of a .jsonl file become documents whose targets lie in the text, or are refused with an
// Error.
#include "core/base/error.h"
#include "core/data/bytes_tokenizer.h"
#include "core/data/row_encoder.h"

namespace {

void check_row(const tandem::Row& row) {
  const tandem::BytesTokenizer tokenizer;
  tandem::EncodedRows out;
  tandem::RowEncoder{.tokenizer = tokenizer, .end = tandem::BytesTokenizer::kEnd}.encode(row, out);
  std::vector<bool> expected(row.text.size(), !row.targets);  // a byte is a token
  if (row.targets)
    for (const auto& [begin, end] : *row.targets)
      for (uint64_t i = begin; i < end; ++i) expected.at(i) = true;
  if (row.end != tandem::RowEnd::none) expected.push_back(row.end == tandem::RowEnd::target);
  std::vector<bool> targets;
  for (const auto& run : out.runs) targets.insert(targets.end(), run.tokens, run.targets);
  if (targets != expected || out.tokens.size() != targets.size()) __builtin_trap();
  out.tokens.resize(row.text.size());
  if (tokenizer.decode(out.tokens) != row.text) __builtin_trap();  // JSON strings are valid UTF-8
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    try {
      check_row(tandem::parse_row(text.substr(at, end - at), "fuzz.jsonl:1"));
    } catch (const tandem::Error&) {
    }
    at = end + 1;
  }
  return 0;
}
