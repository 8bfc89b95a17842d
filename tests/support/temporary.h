// A directory for one test, removed at its end, and the check that a call fails as it should.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/base/file.h"

namespace tandem::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "tandem-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) fail(Exit::storage, name, "cannot make a temporary directory");
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// call throws Error with this exit code, and its message holds each of the words
template <typename Call>
void check_fails(Exit exit, std::initializer_list<std::string> words, Call call) {
  try {
    call();
    FAIL_CHECK("no error; expected one naming ", *words.begin());
  } catch (const Error& e) {
    const std::string message = e.what();
    CHECK_MESSAGE(e.exit() == exit, message);
    for (const std::string& word : words)
      CHECK_MESSAGE(message.find(word) != message.npos, "\"", word, "\" is not in: ", message);
  }
}

}  // namespace tandem::test
