// What a tokenizer does, a line of JSON in and a line out, for comparisons with other programs.
//   tokenizer-lines DIR encode|ranges|cut|decode < LINES
// encode: a text to its ids. ranges: a text to [id, begin, end], in bytes. cut: as encode, from the parts of a text
// that is cut wherever it may be. decode: ids to a text.
#include <iostream>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/data/tokenizer.h"

namespace tandem {
namespace {

Json ranges_of(const Tokenizer& tokenizer, const std::string& text) {
  Encoding encoding;
  tokenizer.encode(text, {.ranges = true}, encoding);
  Json out = Json::array();
  for (size_t i = 0; i < encoding.ids.size(); ++i)
    out.push_back({encoding.ids[i], encoding.ranges[i].begin, encoding.ranges[i].end});
  return out;
}

std::vector<int32_t> cut_ids(const Tokenizer& tokenizer, const std::string& text) {
  Encoding encoding;
  for (size_t from = 0; from < text.size();) {
    const size_t to = tokenizer.cut(std::string_view(text), from + 1);
    tokenizer.encode(std::string_view(text).substr(from, to - from), {.continues = from > 0}, encoding);
    from = to;
  }
  return encoding.ids;
}

Json answer(const Tokenizer& tokenizer, const std::string& mode, const Json& line) {
  if (mode == "encode") return tokenizer.encode(line.get_ref<const std::string&>());
  if (mode == "ranges") return ranges_of(tokenizer, line.get_ref<const std::string&>());
  if (mode == "cut") return cut_ids(tokenizer, line.get_ref<const std::string&>());
  if (mode == "decode") return tokenizer.decode(line.get<std::vector<int32_t>>());
  fail(Exit::configuration, "tokenizer-lines", "{} is not encode, ranges, cut or decode", mode);
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: tokenizer-lines DIR encode|ranges|cut|decode\n";
    return 2;
  }
  try {
    const auto tokenizer = tandem::open_tokenizer(argv[1], 0);
    for (std::string line; std::getline(std::cin, line);)
      std::cout << tandem::answer(*tokenizer, argv[2], tandem::Json::parse(line)).dump() << '\n';
    return 0;
  } catch (const tandem::Error& e) {
    std::cerr << e.what() << '\n';
    return int(e.exit());
  }
}
