// What a tokenizer does, a line of JSON in and a line out, for comparisons with other programs.
//   tokenizer-lines DIR text|ids < LINES
// text: a list of texts to lists of their ids, of those of their parts where they are cut wherever they may be (cut),
// and of what they decode to (text). ids: a list of lists of ids to the list of their texts.
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
  if (mode == "ids") {
    Json texts = Json::array();
    for (const Json& ids : line) texts.push_back(tokenizer.decode(ids.get<std::vector<int32_t>>()));
    return texts;
  }
  Json ids = Json::array(), cut = Json::array(), decoded = Json::array();
  for (const Json& text : line) {
    const std::vector<int32_t> whole = tokenizer.encode(text.get_ref<const std::string&>());
    decoded.push_back(tokenizer.decode(whole));
    cut.push_back(cut_ids(tokenizer, text.get_ref<const std::string&>()));
    ids.push_back(whole);
  }
  return {{"ids", ids}, {"cut", cut}, {"text", decoded}};
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
      std::cout << tandem::answer(*tokenizer, mode, tandem::Json::parse(line)).dump() << std::endl;
    return 0;
  } catch (const tandem::Error& e) {
    std::cerr << e.what() << '\n';
    return int(e.exit());
  }
}
