// A directory for one test's files, and bytes of token files made by hand.
#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"

namespace tandem {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "tandem-test-XXXXXX").string();
    TANDEM_CHECK(::mkdtemp(path.data()) != nullptr, "no directory like {}", path);
    path_ = path;
  }
  ~ScratchDirectory() { remove_all(path_); }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::string path(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, std::string_view content) const {
    write_file_synced(path(name), content);
    return path(name);
  }

 private:
  std::string path_;
};

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A header of 256 words, the first ones given, the rest filler that readers must ignore.
inline std::string token_header(std::vector<int32_t> words) {
  words.resize(256, 0x2a2a2a2a);
  return bytes_of(words);
}
constexpr int32_t kMagic0 = 0x2e4e4942, kMagic1 = 0x0a4b4f54;  // "BIN." "TOK\n"

inline std::string llmq_v2(const std::vector<int32_t>& tokens, int32_t vocabulary = 300, const std::string& mask = "") {
  return token_header({kMagic0, kMagic1, 2, 4, int32_t(tokens.size()), vocabulary, mask.empty() ? 0 : 1}) +
         bytes_of(tokens) + mask;
}

// The same with document starts behind it; documents: the first token of each.
inline std::string with_documents(std::string file, std::vector<uint32_t> documents) {
  const auto count = uint32_t(documents.size());
  uint32_t tokens = 0;
  std::memcpy(&tokens, &file[16], sizeof tokens);
  documents.push_back(tokens);
  std::memcpy(&file[32], "DOC.BEG\n", 8);
  std::memcpy(&file[40], &count, sizeof count);
  file.resize((file.size() + 3) / 4 * 4);
  return file.append(reinterpret_cast<const char*>(documents.data()), documents.size() * sizeof(uint32_t));
}

// What an action throws: its message, after checking the exit code; "" when nothing.
template <typename F>
std::string thrown(Exit exit, F&& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.exit() == exit ? e.what() : fmt::format("exit {}: {}", int(e.exit()), e.what());
  }
  return "";
}

}  // namespace tandem
