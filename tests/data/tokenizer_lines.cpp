// What a tokenizer does, a line of JSON in and a line out, for comparisons with other programs.
//   tokenizer-lines DIR text|ids < LINES
// text: a text to an object of its ids, those of its parts where it is cut wherever it may be (cut), and what they
// decode to (text). ids: a list of ids to their text.
#include <iostream>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/data/tokenizer.h"

namespace tandem {
namespace {

std::vector<int32_t> cut_ids(const Tokenizer& tokenizer, const std::string& text) {
  Encoding encoding;
  for (size_t from = 0; from < text.size();) {
    const size_t to = tokenizer.cut(text, from + 1);
    tokenizer.encode(std::string_view(text).substr(from, to - from), {.continues = from > 0}, encoding);
    from = to;
  }
  return encoding.ids;
}

Json answer(const Tokenizer& tokenizer, const std::string& mode, const Json& line) {
  if (mode == "ids") return tokenizer.decode(line.get<std::vector<int32_t>>());
  const std::string& text = line.get_ref<const std::string&>();
  const std::vector<int32_t> ids = tokenizer.encode(text);
  return {{"ids", ids}, {"cut", cut_ids(tokenizer, text)}, {"text", tokenizer.decode(ids)}};
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) {
  const std::string mode = argc == 3 ? argv[2] : "";
  if (mode != "text" && mode != "ids") {
    std::cerr << "usage: tokenizer-lines DIR text|ids\n";
    return 2;
  }
  try {
    const auto tokenizer = tandem::open_tokenizer(argv[1], 0);
    std::ios::sync_with_stdio(false);
    for (std::string line; std::getline(std::cin, line);)
      std::cout << tandem::answer(*tokenizer, mode, tandem::Json::parse(line)).dump() << '\n';
    return 0;
  } catch (const tandem::Error& e) {
    std::cerr << e.what() << '\n';
    return int(e.exit());
  }
}
