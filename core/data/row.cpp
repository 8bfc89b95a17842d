#include "core/data/row.h"

#include "core/base/json.h"

namespace tandem {
namespace {

void refuse_chats(const Json& row, const JsonObject& object, const std::string& place) {
  for (const char* key : {"messages", "conversations"})
    if (object.contains(key))
      fail(Exit::configuration, place, "has {}, a chat; tools/tokenize renders chats: give it the same arguments", key);
  for (const char* key : {"prompt", "completion"})
    if (child(row, key).is_array())
      fail(Exit::configuration, place, "has a {} of messages; tools/tokenize renders chats: give it the same arguments",
           key);
  if (object.contains("instruction") && !object.contains("text"))
    fail(Exit::configuration, place, "has an instruction, which tools/tokenize renders: give it the same arguments");
}

std::vector<ByteRange> read_ranges(const JsonObject& object, const std::string& place, uint64_t size) {
  constexpr std::string_view kExpected = "a list of [begin, end], byte ranges of text that ascend and do not overlap";
  const Json& list = *object.find("targets");
  if (!list.is_array()) object.wrong("targets", kExpected);
  std::vector<ByteRange> ranges;
  uint64_t before = 0;
  for (const Json& item : list) {
    if (!item.is_array() || item.size() != 2 || !item[0].is_number_unsigned() || !item[1].is_number_unsigned())
      object.wrong("targets", kExpected);
    const ByteRange range{item[0].get<uint64_t>(), item[1].get<uint64_t>()};
    if (range.begin < before || range.end < range.begin || range.end > size)
      fail(Exit::input, place, "targets has [{}, {}] behind byte {} of {}, expected {}", range.begin, range.end, before,
           size, kExpected);
    before = range.end;
    if (range.begin < range.end) ranges.push_back(range);
  }
  return ranges;
}

RowEnd read_end(const JsonObject& object) {
  const std::string end = object.string("end").value_or("target");
  if (end == "target") return RowEnd::target;
  if (end == "masked") return RowEnd::masked;
  if (end == "none") return RowEnd::none;
  object.wrong("end", "\"target\", \"masked\" or \"none\"");
}

}  // namespace

Row parse_row(std::string_view line, const std::string& place) {
  const Json value = parse_json(line, place, Exit::input, JsonRules::patient);
  if (!value.is_object())
    fail(Exit::input, place, "is not an object, expected {{\"text\": \"...\"}} or one of prompt and completion");
  const JsonObject object(value, place, Exit::input);
  refuse_chats(value, object, place);
  const bool pair = object.contains("prompt") && object.contains("completion");
  if (pair && object.contains("text"))
    fail(Exit::input, place, "has text beside prompt and completion; leave one of the two out");
  Row row{.text = {}, .targets = {}, .end = read_end(object)};
  if (pair) {
    object.require("prompt");
    object.require("completion");
    row.text = *object.string("prompt");
    const uint64_t prompt = row.text.size();
    row.text += *object.string("completion");
    row.targets.emplace();
    if (prompt < row.text.size()) row.targets->push_back({prompt, row.text.size()});
    if (object.contains("targets"))
      fail(Exit::input, place, "has targets beside prompt and completion, whose target is the completion");
    return row;
  }
  const auto text = object.string("text");
  if (!text)
    fail(Exit::input, place, "has no text, expected a string under the key text, or under prompt and completion");
  row.text = *text;
  if (object.find("targets") != nullptr) row.targets = read_ranges(object, place, row.text.size());
  return row;
}

}  // namespace tandem
