// libFuzzer: any bytes as a tokenizer.json are refused with an Error, or are a tokenizer whose tokens stand for the
// bytes of a text in order, and whose texts are valid UTF-8.
#include "core/data/tokenizer_json.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/utf8.h"
#include "core/data/bytes_tokenizer.h"

namespace {

constexpr std::string_view kTexts[] = {"", "a", "Hello  world's 12345\r\n\tx",
                                       "e\u0301 \u4f60\u597d\U0001f600 \u2581<s>x y"};

void check(bool holds) {
  if (!holds) __builtin_trap();
}

void check_encoding(const tandem::Tokenizer& tokenizer, std::string_view text) {
  tandem::Encoding encoding;
  tokenizer.encode(text, {.ranges = true}, encoding);
  check(encoding.ids == tokenizer.encode(text) && encoding.ranges.size() == encoding.ids.size());
  for (const tandem::ByteRange& range : encoding.ranges) check(range.begin <= range.end && range.end <= text.size());
  for (const int32_t id : encoding.ids) check(id >= 0 && uint32_t(id) < tokenizer.vocabulary_size());
  check(tandem::is_utf8(tokenizer.decode(encoding.ids)));
  check(tokenizer.cut(text, 1) >= std::min<size_t>(1, text.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const tandem::Json json =
        tandem::parse_json(text, "tokenizer.json", tandem::Exit::input, tandem::JsonRules::patient);
    tandem::is_bytes_tokenizer(json);
    const tandem::BpeTokenizer tokenizer(tandem::read_tokenizer_json(json, "tokenizer.json"));
    check(tandem::is_utf8(tokenizer.decode(std::vector<int32_t>{-1, 0, 1, 2, 3, 1 << 30})));
    for (const std::string_view sample : kTexts) try {
        check_encoding(tokenizer, sample);
      } catch (const tandem::Error& e) {
        check(e.exit() == tandem::Exit::input);  // a character that is not covered, or too many steps
      }
  } catch (const tandem::Error& e) {
    check(e.exit() == tandem::Exit::input || e.exit() == tandem::Exit::configuration);
  }
  return 0;
}
