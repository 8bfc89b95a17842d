// TOML files, read strictly: what toml++ 3.3 trips over is refused before it, with the file and line.
#pragma once

// toml++ asserts (with NDEBUG, assumes) what a malformed file breaks, a line with '[' alone; its checks behind report
// that.
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT_ASSUME(condition) static_assert(true)
#include <toml++/toml.h>

#include <string>
#include <string_view>

namespace tandem {

// path: for messages. Exit::configuration, naming path and line.
toml::table parse_toml(std::string_view text, const std::string& path);

// "path:line" of a node
std::string toml_place(const toml::node& node, const std::string& path);

}  // namespace tandem
