#include "core/data/stream_file.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/data/scratch.h"

namespace tandem {
namespace {

// A row of 200 elements has two blocks, the second one short.
const StreamHeader kHeader{
    .hidden = 200, .layer = 3, .sequence_length = 4, .windows = 5, .tokens = 77, .base = 88, .recipe = "bf16"};

std::vector<std::byte> pattern(size_t count, uint32_t seed) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = std::byte((i * 31 + seed * 101) % 251);
  return bytes;
}

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::ranges::equal(a, b);
}

// Windows in several appends, as the layers below give them.
std::string write_streams(const ScratchDirectory& scratch) {
  const std::string path = scratch.path("a.stream");
  const auto codes = pattern(5 * kHeader.code_bytes(), 1), scales = pattern(5 * kHeader.scale_bytes(), 2);
  StreamWriter writer(path, kHeader);
  for (const auto& [first, count] : {std::pair(0, 2), std::pair(2, 2), std::pair(4, 1)})
    writer.append(std::span(codes).subspan(first * kHeader.code_bytes(), count * kHeader.code_bytes()),
                  std::span(scales).subspan(first * kHeader.scale_bytes(), count * kHeader.scale_bytes()));
  CHECK_FALSE(file_exists(path));
  writer.finish();
  return path;
}

TEST_CASE("stream file: windows come back as they were written, in the layout of docs/formats.md") {
  CHECK(kHeader.code_bytes() == 4 * 200);
  CHECK(kHeader.scale_bytes() == 4 * 2);
  CHECK(kHeader.file_bytes() == 64 + 5 * 4 * (200 + 2));
  const ScratchDirectory scratch;
  const std::string path = write_streams(scratch);
  const auto codes = pattern(5 * kHeader.code_bytes(), 1), scales = pattern(5 * kHeader.scale_bytes(), 2);
  const StreamFile file(path, kHeader);
  for (uint64_t w = 0; w < kHeader.windows; ++w) {
    CHECK(same(file.codes(w), std::span(codes).subspan(w * kHeader.code_bytes(), kHeader.code_bytes())));
    CHECK(same(file.scales(w), std::span(scales).subspan(w * kHeader.scale_bytes(), kHeader.scale_bytes())));
  }
  const std::string bytes = read_text(path);
  CHECK(bytes.size() == kHeader.file_bytes());
  const auto at = [&](size_t offset, auto value) {
    std::memcpy(&value, bytes.data() + offset, sizeof(value));
    return value;
  };
  CHECK(bytes.substr(0, 8) == "TNDMSTRM");
  const uint32_t words[] = {1, 200, 3, 4};  // version, hidden, layer, sequence length
  for (size_t i = 0; i < 4; ++i) CHECK(at(8 + 4 * i, uint32_t{}) == words[i]);
  const uint64_t longs[] = {5, 77, 88};  // windows, tokens, base
  for (size_t i = 0; i < 3; ++i) CHECK(at(24 + 8 * i, uint64_t{}) == longs[i]);
  CHECK(bytes.substr(48, 16) == std::string("bf16") + std::string(12, '\0'));
}

TEST_CASE("stream file: a file of anything else is refused, saying what differs") {
  const ScratchDirectory scratch;
  const std::string path = write_streams(scratch), bytes = read_text(path);
  const auto check_refused = [&](const std::string& content, const std::string& part) {
    scratch.write("a.stream", content);
    const std::string message = thrown(Exit::input, [&] { StreamFile(path, kHeader); });
    INFO("message: ", message, " should contain: ", part);
    CHECK(message.starts_with("[" + path + "] "));
    CHECK(message.find(part) != std::string::npos);
    CHECK(message.find("replay.directory") != std::string::npos);
  };
  const auto with = [&](size_t offset, char value) {
    std::string other = bytes;
    other[offset] = value;
    return other;
  };
  check_refused(with(0, 'X'), "not a file of stored streams");
  check_refused(with(8, 2), "version 2, expected 1");
  check_refused(with(12, 100), "hidden size 100, expected 200");
  check_refused(with(16, 2), "enters layer 2, expected 3");
  check_refused(with(20, 8), "sequence length 8, expected 4");
  check_refused(with(24, 6), "windows of 6, expected 5");
  check_refused(with(32, 78), "other tokens");
  check_refused(with(40, 89), "another base below layer 3");
  check_refused(with(48, 'x'), "recipe xf16, expected bf16");
  check_refused(bytes.substr(0, bytes.size() - 1), "has 4103 bytes, expected 4104");
  check_refused(bytes + "x", "has 4105 bytes, expected 4104");
  check_refused(bytes.substr(0, 63), "not a file of stored streams");
  check_refused("", "not a file of stored streams");
  scratch.write("a.stream", bytes);
  const StreamFile file(path, kHeader);
  CHECK(file.header().tokens == 77);
}

TEST_CASE("stream file: nothing is left of one that was not finished") {
  const ScratchDirectory scratch;
  const std::string path = scratch.path("a.stream");
  {
    StreamWriter writer(path, kHeader);
    writer.append(pattern(kHeader.code_bytes(), 1), pattern(kHeader.scale_bytes(), 2));
    CHECK(file_exists(scratch.path(".tmp-a.stream")));
  }
  CHECK(std::filesystem::is_empty(scratch.path("")));
}

}  // namespace
}  // namespace tandem
