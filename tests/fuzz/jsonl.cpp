// libFuzzer: any bytes as a .jsonl file, and as a tokenizer.json, are read or refused with an Error.
#include "core/base/error.h"
#include "core/data/bytes_tokenizer.h"
#include "core/data/tokenize.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const tandem::BytesTokenizer tokenizer;
  try {
    tandem::for_each_document(text, "fuzz.jsonl", [&](std::string_view document) {
      if (tokenizer.decode(tokenizer.encode(document)) != document) __builtin_trap();  // JSON strings are valid UTF-8
    });
  } catch (const tandem::Error&) {
  }
  try {
    tandem::is_bytes_tokenizer(tandem::parse_json(text, "tokenizer.json"));
  } catch (const tandem::Error&) {
  }
  return 0;
}
