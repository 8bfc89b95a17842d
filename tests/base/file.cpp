#include "core/base/file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <utility>

#include "tests/support/temporary.h"

using namespace tandem;
using test::check_fails;
using test::TemporaryDirectory;

TEST_CASE("files are written whole, mapped and replaced") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.txt";
  write_file_synced(path, "hello");
  MappedFile file(path);
  CHECK(file.bytes().size() == 5);
  const MappedFile moved(std::move(file));
  CHECK(char(moved.bytes()[4]) == 'o');
  replace_file(path, "world!");
  CHECK(read_text(path) == "world!");
  CHECK(char(moved.bytes()[4]) == 'o');  // the old file lives as long as its map
  CHECK(!file_exists(beside(path)));

  const std::array<std::byte, 2> part{std::byte{'x'}, std::byte{'y'}};
  const std::array<std::span<const std::byte>, 2> parts{part, part};
  write_file_synced(path, parts);
  CHECK(read_text(path) == "xyxy");
  write_file_synced(path, "");
  CHECK(MappedFile(path).bytes().empty());
}

TEST_CASE("large files are written in pieces, and are whole") {
  const TemporaryDirectory directory;
  const std::string path = directory / "large";
  std::string content((40 << 20) + 7, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = char(i ^ (i >> 8) ^ (i >> 17));
  const auto bytes = std::as_bytes(std::span(content));
  OutputFile file(path);
  file.write(bytes.first(5));
  file.write(bytes.subspan(5));
  file.write_at(1, bytes.first(1));
  file.finish();
  content[1] = content[0];
  CHECK((read_text(path) == content));
}

TEST_CASE("what a disk does not give is found before it is used") {
  const TemporaryDirectory directory;
  const std::string path = directory / "short";
  write_file_synced(path, std::string(20000, 'x'));
  const MappedFile file(path);
  CHECK(read_in(file.bytes()));
  CHECK(read_in({}));
  std::filesystem::resize_file(path, 5000);  // pages past the end fail as those of a bad disk do
  CHECK(read_in(file.bytes().first(5000)));
  CHECK_FALSE(read_in(file.bytes()));
  CHECK_FALSE(read_in(file.bytes().last(1)));
}

TEST_CASE("directories are renamed onto nothing and onto an empty one") {
  const TemporaryDirectory directory;
  make_directories(directory / "x/y");
  write_file_synced(directory / "x/y/f", "1");
  rename_synced(directory / "x", directory / "z/");
  CHECK(read_text(directory / "z/y/f") == "1");
  make_directories(directory / "empty");
  rename_synced(directory / "z", directory / "empty");
  CHECK(read_text(directory / "empty/y/f") == "1");
  remove_all(directory / "empty");
  remove_all(directory / "empty");
  CHECK(!file_exists(directory / "empty"));
}

TEST_CASE("a file that cannot be replaced leaves nothing beside it") {
  const TemporaryDirectory directory;
  make_directories(directory / "full/sub");
  check_fails(Exit::storage, {"full"}, [&] { replace_file(directory / "full", "x"); });
  CHECK_FALSE(file_exists(beside(directory / "full")));

  write_file_synced(directory / "file", "before");
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit none{0, limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
  check_fails(Exit::storage, {"write", "too large"}, [&] { replace_file(directory / "file", "behind"); });
  REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK_FALSE(file_exists(beside(directory / "file")));
  CHECK(read_text(directory / "file") == "before");
}

TEST_CASE("the name beside stays in the directory") {
  CHECK(beside("a/b") == "a/.tmp-b");
  CHECK(beside("a/b/") == "a/.tmp-b");
  CHECK(beside("b") == ".tmp-b");
}

TEST_CASE("file errors name the path and the reason") {
  const TemporaryDirectory directory;
  const std::string none = directory / "none";
  check_fails(Exit::input, {none, "No such file"}, [&] { MappedFile file(none); });
  check_fails(Exit::configuration, {none, "No such file"}, [&] { read_text(none, Exit::configuration); });
  check_fails(Exit::input, {"not a regular file"}, [&] { MappedFile file(directory.path()); });
  check_fails(Exit::storage, {none, "No such file"}, [&] { write_file_synced(none + "/f", "x"); });
  check_fails(Exit::storage, {directory.path(), "directory"}, [&] { OutputFile file(directory.path()); });
  check_fails(Exit::storage, {none}, [&] { rename_synced(none, directory / "to"); });
  check_fails(Exit::storage, {none}, [&] { sync_directory(none); });
  write_file_synced(directory / "file", "x");
  check_fails(Exit::storage, {"cannot create the directory"}, [&] { make_directories(directory / "file/sub"); });
}

TEST_CASE("a path is inside of a folder however either is spelt") {
  const TemporaryDirectory directory;
  make_directories(directory / "run/deep");
  std::filesystem::create_directory_symlink(directory / "run", directory / "link");
  for (const char* inside : {"run", "run/", "run/new/deeper", "run/./deep", "other/../run/new", "link/new"}) {
    CAPTURE(std::string(inside));
    CHECK(is_inside(directory / inside, directory / "run"));
    CHECK(is_inside(directory / inside, directory / "link/"));
  }
  for (const char* outside : {"", "runs", "run-2/run", "run/..", "run/../other"}) {
    CAPTURE(std::string(outside));
    CHECK_FALSE(is_inside(directory / outside, directory / "run"));
  }
  std::filesystem::create_symlink("loop", directory / "loop");
  CHECK_FALSE(is_inside(directory / "loop/x", directory / "loop/run"));
  const std::string long_name(300, 'a');
  CHECK_FALSE(is_inside(directory / (long_name + "/x"), directory / (long_name + "/run")));
  CHECK(is_inside("new/streams", "new"));
  CHECK(is_inside("new", std::filesystem::current_path().string()));
}

TEST_CASE("free bytes are those of a directory that is there") {
  const TemporaryDirectory directory;
  CHECK(free_bytes(directory.path()).value_or(0) > 0);
  CHECK_FALSE(free_bytes(directory / "none").has_value());
}

TEST_CASE("a pipe in the place of a file is refused, not waited for") {
  const TemporaryDirectory directory;
  const std::string pipe = directory / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  check_fails(Exit::input, {pipe, "not a regular file"}, [&] { MappedFile file(pipe); });
}

TEST_CASE("a full device is an error, not a short file") {
  if (!file_exists("/dev/full")) return;
  check_fails(Exit::storage, {"/dev/full", "No space left"}, [] { write_file_synced("/dev/full", "x"); });
}
