#include "core/data/tokenizer_files.h"

#include "core/data/tokenizer.h"
#include "tests/support/temporary.h"

using namespace tandem;
using test::check_fails;
using test::TemporaryDirectory;

namespace {

void touch(const std::string& path) {
  make_directories(std::filesystem::path(path).parent_path());
  write_file_synced(path, "{}");
}

}  // namespace

TEST_CASE("tokenizer files: every kind is found, nothing else") {
  const TemporaryDirectory directory;
  std::vector<std::string> kinds = {"added_tokens.json",
                                    "additional_chat_templates/tool_use.jinja",
                                    "chat_template.jinja",
                                    "deep/down/here.jinja",
                                    "generation_config.json",
                                    "merges.txt",
                                    "qwen.tiktoken",
                                    "special_tokens_map.json",
                                    "spiece.model",
                                    "tokenization_qwen.py",
                                    "tokenizer.json",
                                    "tokenizer.model",
                                    "tokenizer.model.v3",
                                    "tokenizer_config.json",
                                    "vocab.bpe",
                                    "vocab.json",
                                    "vocab.txt"};
  for (const std::string& name : kinds) touch(directory / name);
  for (const char* name : {"config.json", "model.safetensors", "README.md", "modeling_qwen.py", "tokenization.md",
                           "original/tokenizer.model", "runs/other/config.json", "runs/other/chat_template.jinja",
                           ".cache/chat_template.jinja", "tokenizer/README.md"})
    touch(directory / name);
  const TokenizerFiles files = tokenizer_files(directory.path());
  CHECK(files.names == kinds);
  CHECK(files.has_tokenizer);
}

TEST_CASE("tokenizer files: how to generate is none of a tokenizer, each other kind is") {
  const TemporaryDirectory directory;
  CHECK(!tokenizer_files(directory.path()).has_tokenizer);
  CHECK(!tokenizer_files(directory / "nowhere").has_tokenizer);
  touch(directory / "generation_config.json");
  CHECK(!tokenizer_files(directory.path()).has_tokenizer);
  CHECK(find_tokenizer(directory.path(), 257) != nullptr);
  for (const char* name : {"tokenizer.model", "vocab.json", "chat_template.jinja", "tokenization_own.py"}) {
    CAPTURE(name);
    touch(directory / name);
    CHECK(tokenizer_files(directory.path()).has_tokenizer);
    CHECK(find_tokenizer(directory.path(), 257) == nullptr);
    remove_all(directory / name);
  }
}

TEST_CASE("tokenizer files: links are followed once, and one to nowhere is an error where it is read") {
  const TemporaryDirectory directory;
  touch(directory / "elsewhere/tool_use.jinja");
  make_directories(directory / "model");
  std::filesystem::create_symlink("../elsewhere", directory / "model/templates");
  std::filesystem::create_symlink(".", directory / "model/loop");
  std::filesystem::create_symlink("../blobs/1234", directory / "model/tokenizer.json");
  const TokenizerFiles files = tokenizer_files(directory / "model");
  CHECK(files.names == std::vector<std::string>{"templates/tool_use.jinja", "tokenizer.json"});
  CHECK(files.has_tokenizer);
  check_fails(Exit::input, {directory / "model/tokenizer.json"}, [&] { open_tokenizer(directory / "model", 257); });
}
