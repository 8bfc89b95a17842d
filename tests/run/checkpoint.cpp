#include "core/run/checkpoint.h"

#include <doctest/doctest.h>

#include <array>
#include <filesystem>

#include "core/run/manifest.h"
#include "core/run/metrics.h"
#include "core/run/resume.h"
#include "tests/support/temporary.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
using test::check_fails;
using test::TemporaryDirectory;

// two tensors in each of model and optimizer, with values that depend on the step
void write_step(const std::string& directory, uint64_t step, uint64_t shard_bytes = kShardBytes,
                std::optional<uint32_t> updates = {}) {
  static std::array<float, 6> values;
  values.fill(float(step) + 0.5f);
  const auto tensor = [](std::string name) {
    return OutputTensor{std::move(name), {DType::f32, {2, 3}}, [] { return std::as_bytes(std::span(values)); }};
  };
  Manifest m;
  m.step = step, m.sequence = step + 1, m.t = updates.value_or(uint32_t(step)), m.config = "[a]\n", m.backend = "none";
  m.inputs = {{"data.bin", 5, "00"}};
  const OutputTensor model[] = {tensor("a.weight"), tensor("b.weight")};
  const OutputTensor optimizer[] = {tensor("a.weight.m"), tensor("b.weight.m")};
  make_checkpoint_directory(directory);
  write_checkpoint(directory, m, model, optimizer, shard_bytes);
}

std::vector<std::string> files_of(const std::string& path) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path().string());
  return files;
}

std::vector<uint64_t> steps(std::initializer_list<uint64_t> list) {
  return list;
}

TEST_CASE("checkpoint: what was written is read back, from one file or many") {
  const TemporaryDirectory place;
  for (const uint64_t limit : {kShardBytes, uint64_t(24)}) {
    write_step(place / "c", 7, limit);
    const Checkpoint c(place / "c/step_00000007");
    CHECK(c.manifest().step == 7);
    CHECK(c.manifest().sequence == 8);
    CHECK(c.manifest().t == 7);
    CHECK(c.manifest().config == "[a]\n");
    CHECK(c.manifest().inputs.at(0).path == "data.bin");
    CHECK(c.tensors() == 4);
    CHECK(c.manifest().files.size() == (limit == 24 ? 4 : 2));
    const auto bytes = c.bytes("b.weight.m", {DType::f32, {2, 3}});
    CHECK(reinterpret_cast<const float*>(bytes.data())[5] == 7.5f);
    check_fails(Exit::input, {"a.weight", "another model's"}, [&] { c.bytes("a.weight", {DType::f32, {3, 2}}); });
    check_fails(Exit::input, {"a.weight", "another model's"}, [&] { c.bytes("a.weight", {DType::bf16, {2, 3}}); });
    check_fails(Exit::input, {"c.weight", "missing"}, [&] { c.bytes("c.weight", {DType::f32, {2, 3}}); });
  }
}

TEST_CASE("checkpoint: every bit of every file counts") {
  const TemporaryDirectory place;
  write_step(place / "c", 1);
  const std::string path = place / "c/step_00000001";
  for (const std::string& file : files_of(path)) {
    const std::string sound = read_text(file);
    for (size_t bit = 0; bit < sound.size() * 8; bit += 5) {
      std::string damaged = sound;
      damaged[bit / 8] = char(damaged[bit / 8] ^ (1 << (bit % 8)));
      write_file_synced(file, damaged);
      try {
        const Checkpoint c(path);
        FAIL_CHECK("bit ", bit, " of ", file, " was not seen");
      } catch (const Error& e) {
        CHECK(e.exit() == Exit::input);
      }
    }
    write_file_synced(file, sound);
  }
  CHECK(Checkpoint(path).tensors() == 4);
}

TEST_CASE("checkpoint: files cut short, too long, missing, or not files") {
  const TemporaryDirectory place;
  write_step(place / "c", 1);
  const std::string path = place / "c/step_00000001";
  for (const std::string& file : files_of(path)) {
    const std::string sound = read_text(file), name = fs::path(file).filename().string();
    const auto refused = [&] { check_fails(Exit::input, {name}, [&] { Checkpoint c(path); }); };
    for (const size_t size : {size_t(0), size_t(7), sound.size() / 2, sound.size() - 1}) {
      write_file_synced(file, sound.substr(0, size));
      refused();
    }
    write_file_synced(file, sound + '\0');
    refused();
    fs::remove(file);
    refused();
    write_file_synced(place / "elsewhere", sound);
    fs::create_symlink(place / "elsewhere", file);
    refused();
    fs::remove(file);
    fs::create_directory(file);
    refused();
    fs::remove(file);
    write_file_synced(file, sound);
  }
}

TEST_CASE("checkpoint: another version, another format, unfinished, a symbolic link") {
  const TemporaryDirectory place;
  write_step(place / "c", 1);
  const std::string path = place / "c/step_00000001", manifest = path + "/manifest.json";
  const std::string sound = read_text(manifest);
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = sound;
    text.replace(text.find(from), from.size(), to);
    write_file_synced(manifest, text);
  };
  with("\"version\": 1", "\"version\": 2");
  check_fails(Exit::input, {"manifest.json", "version 2", "version 1"}, [&] { Checkpoint c(path); });
  with("tandem-checkpoint", "foreign-checkpoint");
  check_fails(Exit::input, {"manifest.json", "foreign-checkpoint"}, [&] { Checkpoint c(path); });
  write_file_synced(manifest, sound);

  fs::copy(path, place / "c/.tmp-step_00000002", fs::copy_options::recursive);
  check_fails(Exit::input, {"never finished"}, [&] { Checkpoint c(place / "c/.tmp-step_00000002"); });
  fs::create_directory_symlink(path, place / "c/step_00000003");
  check_fails(Exit::input, {"symbolic link"}, [&] { Checkpoint c(place / "c/step_00000003"); });
  check_fails(Exit::input, {"step_00000009"}, [&] { Checkpoint c(place / "c/step_00000009"); });
}

TEST_CASE("resume: the newest that verifies, else the next older; none is an error") {
  const TemporaryDirectory place;
  const std::string c = place / "c";
  check_fails(Exit::input, {c, "no checkpoint"}, [&] { newest_checkpoint(c); });
  for (const uint64_t step : {4, 8, 12}) write_step(c, step);
  CHECK(newest_checkpoint(c).manifest().step == 12);
  fs::remove(c + "/step_00000012/manifest.json");
  CHECK(newest_checkpoint(c).manifest().step == 8);
  fs::rename(c + "/step_00000008", c + "/step_00000010");  // under the name of another step
  CHECK(newest_checkpoint(c).manifest().step == 4);
  fs::remove_all(c + "/step_00000004");
  fs::create_directory(c + "/.tmp-step_00000016");
  check_fails(Exit::input, {c, "no checkpoint"}, [&] { newest_checkpoint(c); });
}

TEST_CASE("rotation: keeps the new one and those before it, drops what comes after it, and drafts") {
  const TemporaryDirectory place;
  const std::string c = place / "c";
  for (const uint64_t step : {4, 8, 12, 16}) write_step(c, step);
  fs::create_directory(c + "/.tmp-step_00000020");
  write_file_synced(c + "/notes.txt", "mine");
  rotate_checkpoints(c, 16, 3);
  CHECK(checkpoint_steps(c) == steps({16, 12, 8}));
  CHECK_FALSE(file_exists(c + "/.tmp-step_00000020"));
  CHECK(file_exists(c + "/notes.txt"));
  // resumed from 8 as the newer ones are damaged, then saved at 10: they must not push 10 or 8 out
  write_step(c, 10);
  rotate_checkpoints(c, 10, 2);
  CHECK(checkpoint_steps(c) == steps({10, 8}));
  rotate_checkpoints(c, 10, 1);
  CHECK(checkpoint_steps(c) == steps({10}));
}

TEST_CASE("rotation: keeps the last one that fewer updates led to, too") {
  const TemporaryDirectory place;
  const std::string c = place / "c";
  for (const uint64_t step : {4, 8, 12, 16}) write_step(c, step, kShardBytes, std::min(uint32_t(step), 8u));
  CHECK(last_good_checkpoint(c, 16, 8) == 4);  // from 8 on all steps were skipped
  CHECK(last_good_checkpoint(c, 16, 9) == 12);
  CHECK(last_good_checkpoint(c, 4, 8) == std::nullopt);
  CHECK(last_good_checkpoint(c, 16, 4) == std::nullopt);
  rotate_checkpoints(c, 16, 1, last_good_checkpoint(c, 16, 8));
  CHECK(checkpoint_steps(c) == steps({16, 4}));
  fs::remove(c + "/step_00000004/manifest.json");  // it is no longer known to be good
  CHECK(last_good_checkpoint(c, 16, 8) == std::nullopt);
  rotate_checkpoints(c, 16, 1);
  CHECK(checkpoint_steps(c) == steps({16}));
}

TEST_CASE("checkpoint: one that did not verify is written over; a failed save leaves the others and no draft") {
  const TemporaryDirectory place;
  const std::string c = place / "c", path = c + "/step_00000004";
  write_step(c, 4);
  fs::remove(path + "/manifest.json");
  write_step(c, 4);
  CHECK(Checkpoint(path).manifest().step == 4);

  check_fails(Exit::storage, {"none/c"}, [&] { write_step(place / "none/c", 4); });  // the run directory went away
  CHECK_FALSE(file_exists(place / "none"));

  const OutputTensor huge[] = {{"huge", {DType::f32, {uint64_t(1) << 30, uint64_t(1) << 28}}, {}}};
  Manifest m;
  m.step = 5;
  check_fails(Exit::storage, {c, "are free"}, [&] { write_checkpoint(c, m, huge, {}); });
  const OutputTensor failing[] = {
      {"late", {DType::f32, {1}}, []() -> std::span<const std::byte> { fail(Exit::storage, "disk", "is full"); }}};
  check_fails(Exit::storage, {"disk"}, [&] { write_checkpoint(c, m, failing, failing); });
  CHECK(files_of(c).size() == 1);
  CHECK(newest_checkpoint(c).manifest().step == 4);
}

TEST_CASE("metrics: cut back to a step, in whole lines") {
  const TemporaryDirectory place;
  const std::string path = place / "metrics.jsonl";
  CHECK_FALSE(cut_metrics(path, 3));
  const std::string one = "{\"step\":1,\"loss\":null}\n", two = "{\"step\":2}\n",
                    evaluated = "{\"eval\":{\"step\":2,\"loss\":1.5}}\n", three = "{\"step\":3}\n";
  write_file_synced(path, one + two + evaluated + three + "{\"step\":4,\"lo");
  CHECK_FALSE(cut_metrics(path, 3));
  CHECK(read_text(path) == one + two + evaluated + three);
  CHECK(cut_metrics(path, 2));
  CHECK(read_text(path) == one + two + evaluated);
  CHECK_FALSE(cut_metrics(path, 0));
  CHECK(read_text(path).empty());
}

}  // namespace
}  // namespace tandem
