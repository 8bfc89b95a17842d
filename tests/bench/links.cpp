// What exchanges between the GPUs of a machine reach, through the same backend as training. Prints one figure a line:
// GB/s of the bytes that cross one GPU's link, each way.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/base/message.h"
#include "core/rates/calibrate_links.h"
#include "core/runtime/ranks.h"
#include "tests/bench/bench.h"

using namespace tandem;

namespace {

struct Figure {
  CollectiveKind kind;
  uint64_t bytes = 0;
  double seconds = 0;  // per exchange
};

void measure(World& world, const DeviceInfo& device, std::vector<Figure>& figures) {
  const auto backend = bench::backends().open(device);
  backend->join(world, "auto");
  for (Figure& figure : figures) figure.seconds = seconds_per_exchange(*backend, world, figure.kind, figure.bytes);
}

void print(const Figure& f, uint32_t ranks) {
  const double crossing = double(f.bytes) * (ranks - 1) / ranks;
  fmt::print("{}_{}_mib_gb_per_second {:.1f}\n", name_of(f.kind), f.bytes >> 20, crossing / f.seconds * 1e-9);
}

int run(const std::string& backend, uint32_t ranks) {
  std::vector<std::vector<Figure>> figures(ranks);
  for (auto& mine : figures)
    for (const CollectiveKind kind : {CollectiveKind::all_gather, CollectiveKind::all_to_all})
      for (const uint64_t mib : {1, 16, 128, 1024}) mine.push_back({kind, mib << 20});
  run_threads(ranks, [&](World& world) {
    const uint32_t rank = world.seat().rank;
    measure(world, bench::backends().choose(fmt::format("{}:{}", backend, rank)), figures[rank]);
    return Exit::ok;
  });
  for (const Figure& figure : figures[0]) print(figure, ranks);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("exchanges between GPUs");
  std::string backend = "cuda";
  uint32_t ranks = 2;
  app.add_option("--backend", backend);
  app.add_option("--ranks", ranks)->check(CLI::Range(2, 64));
  CLI11_PARSE(app, argc, argv);
  try {
    return run(backend, ranks);
  } catch (const Error& e) {
    write_error(fmt::format("{}\n", e.what()));
    return int(e.exit());
  }
}
