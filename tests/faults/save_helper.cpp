// Saves checkpoints of steps 4, 8, ... LAST in DIRECTORY, going on after the newest sound one; keeps one.
// tests/run/faults.cpp runs it, with and without faults. Exits as `tandem` does.
#include <fmt/format.h>

#include <array>

#include "core/run/checkpoint.h"
#include "core/run/resume.h"

namespace tandem {
namespace {

void save(const std::string& directory, uint64_t step) {
  std::array<float, 64> values;
  values.fill(float(step));
  const auto tensor = [&](std::string name) {
    return OutputTensor{std::move(name), {DType::f32, {64}}, [&] { return std::as_bytes(std::span(values)); }};
  };
  Manifest manifest;
  manifest.step = step;
  manifest.t = uint32_t(step);
  const OutputTensor model[] = {tensor("a")}, optimizer[] = {tensor("a.m"), tensor("a.v")};
  make_checkpoint_directory(directory);
  write_checkpoint(directory, manifest, model, optimizer);
  rotate_checkpoints(directory, step, 1);
}

void save_all(const std::string& directory, uint64_t last) {
  remove_unfinished(directory);
  const uint64_t first = checkpoint_steps(directory).empty() ? 0 : newest_checkpoint(directory).manifest().step;
  for (uint64_t step = first + 4; step <= last; step += 4) save(directory, step);
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) {
  try {
    if (argc != 3) return 2;
    tandem::save_all(argv[1], std::stoull(argv[2]));
    return 0;
  } catch (const tandem::Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return int(e.exit());
  }
}
