// libFuzzer: any text has the same pieces from the scanner and from the matcher, in each of the scanner's forms; and by
// each of the tokenizers of tests/data/tokenizers the same tokens whole and cut, which decode to the text.
#include <cstdlib>
#include <memory>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/utf8.h"
#include "core/data/pretokenize.h"
#include "core/data/tokenizer_json.h"

namespace {

using namespace tandem;

struct Known {
  std::string name;
  std::unique_ptr<BpeTokenizer> tokenizer;
};

std::vector<Known> open_known() {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  const std::string directory = std::string(root == nullptr ? "." : root) + "/tests/data/tokenizers/";
  std::vector<Known> known;
  for (const std::string name : {"qwen2", "llama3", "gpt2", "deepseek", "llama2"}) {
    const std::string path = directory + name + ".json";
    known.push_back(
        {name, std::make_unique<BpeTokenizer>(read_tokenizer_json(parse_json(read_text(path), path), path))});
  }
  return known;
}

void check(bool holds) {
  if (!holds) __builtin_trap();
}

struct Form {
  Scanner scanner;
  std::vector<PieceStep> matcher;  // the pattern
};

std::vector<Form> all_forms() {
  std::vector<Form> forms;
  for (const uint32_t digits : {1u, 3u})
    for (const bool marks : {false, true}) {
      const std::string pattern = Scanner::pattern({digits, marks});
      forms.push_back({*Scanner::of(pattern), {Pattern(pattern, "pattern")}});
    }
  return forms;
}

void check_scanner(const Form& form, std::string_view text) {
  std::vector<size_t> scanned, matched;
  form.scanner.split(text, 0, text.size(), scanned);
  split_pieces(form.matcher, text, matched);
  check(scanned == matched);
}

void check_known(const Known& known, std::string_view text, size_t step) {
  const BpeTokenizer& tokenizer = *known.tokenizer;
  const auto encode = [&](std::string_view part, bool special_tokens, bool continues, Encoding& out) {
    tokenizer.encode(part, {.special_tokens = special_tokens, .continues = continues}, out);
  };
  Encoding whole, cut, as_text;
  encode(text, true, false, whole);
  for (size_t from = 0; from < text.size();) {
    const size_t to = tokenizer.cut(text, from + step);
    encode(text.substr(from, to - from), true, from > 0, cut);
    from = to;
  }
  check(cut.ids == whole.ids);
  // NFC changes a text, and U+2581 is a space to Llama 2
  if (known.name == "qwen2" || (known.name == "llama2" && text.find("\u2581") != text.npos)) return;
  encode(text, false, false, as_text);
  check(tokenizer.decode(as_text.ids) == text);
}

}  // namespace

// The first byte: the step between cuts. The rest is the text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<Known> known = open_known();
  static const std::vector<Form> forms = all_forms();
  if (size == 0) return 0;
  const std::string text = valid_utf8(std::string_view(reinterpret_cast<const char*>(data + 1), size - 1));
  for (const Form& form : forms) check_scanner(form, text);
  for (const Known& one : known) check_known(one, text, 1 + data[0]);
  return 0;
}
