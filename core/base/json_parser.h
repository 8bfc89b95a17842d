// The parser behind parse_json, with the places of what it read.
#pragma once

#include "core/base/json.h"

namespace tandem {

// A key of the outermost object, and where its value stands in the text.
struct JsonMember {
  std::string key;
  size_t begin = 0, end = 0;
};

struct ParsedJson {  // NOLINT(bugprone-exception-escape): Json may throw as it is moved
  Json value;
  std::vector<JsonMember> members;  // in order; empty unless value is an object
  size_t end = 0;                   // behind the value; white space may follow
};

ParsedJson parse_json_members(std::string_view text, std::string_view file, Exit exit, JsonRules rules);

}  // namespace tandem
