#include "core/run/replay.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/message.h"
#include "core/base/size.h"
#include "core/base/stopwatch.h"
#include "core/model/cut.h"
#include "core/run/settings.h"
#include "core/step/layers_below.h"
#include "core/step/parameters.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// A token file's windows, and the file for their streams.
struct StreamPlace {
  Windows* windows;
  size_t file;
  std::string path;
};

// One run at a time stores in a directory.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail(Exit::storage, path, "cannot open: {}", std::strerror(errno));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
    const int error = errno;
    ::close(descriptor_);
    if (error == EWOULDBLOCK)
      fail(Exit::configuration, "replay.directory",
           "another run stores streams in {}; wait for it, or use another directory", path);
    fail(Exit::storage, path, "cannot lock: {}", std::strerror(error));
  }
  ~DirectoryLock() { ::close(descriptor_); }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int descriptor_;
};

// NAME-HASH.stream: files of one name may lie in several places.
std::string path_of(const std::string& directory, const TokenFile& tokens) {
  const std::string place = fs::absolute(tokens.path()).lexically_normal().string();
  return fmt::format("{}/{}-{}.stream", directory, fs::path(place).filename().string(),
                     xxh3(std::as_bytes(std::span(place))).substr(0, 8));
}

std::vector<StreamPlace> places_of(const std::string& directory, RunData& data) {
  std::vector<StreamPlace> places;
  const auto add = [&](Windows& windows) {
    for (size_t f = 0; f < windows.files(); ++f) places.push_back({&windows, f, path_of(directory, windows.file(f))});
  };
  for (Windows& source : data.train->sources()) add(source);
  if (data.eval) add(*data.eval);
  return places;
}

// What the streams are made of beside the tokens: config.json, and the tensors below the cut.
uint64_t hash_of_base(const RunConfig& config, const RunInputs& in) {
  Xxh3 hash;
  const auto add = [&](const std::string& text) { hash.update(std::as_bytes(std::span(text))); };
  add(in.files.front().hash + "\n");
  if (config.model.from_scratch) add(fmt::format("drawn from {}\n", config.model.seed));
  for (const ParameterSpec& spec : parameter_specs(layers_below(in.model.config, in.spec.model.first_layer)))
    for (const StoredTensor& part : spec.parts)
      if (const auto found = in.base.find(part.name); found != in.base.end())
        add(fmt::format("{} {}\n", part.name, found->second));
  return hash.digest();
}

StreamHeader header_of(const StreamPlace& place, const RunInputs& in, uint64_t base) {
  return {.hidden = in.spec.model.hidden,
          .layer = in.spec.model.first_layer,
          .sequence_length = in.spec.shape.sequence_length,
          .windows = place.windows->count(place.file),
          .tokens = place.windows->hash(place.file),
          .base = base,
          .recipe = std::string(name_of(in.spec.precision.recipe))};
}

// The layers below, with their parameters, on run.backend's device.
struct Below {
  DevicePointer<Backend> backend;
  std::unique_ptr<LayersBelow> layers;
};

Below open_below(const RunConfig& config, const Registry& registry, const RunInputs& in) {
  const DeviceInfo device = registry.choose(config.run.backend);
  check_recipe(device, name_of(in.spec.precision.recipe));
  Below below{registry.open(device), nullptr};
  if (KernelTable* kernels = below.backend->kernels()) kernels->use(in.kernels);
  below.layers =
      std::make_unique<LayersBelow>(*below.backend, within_budget(below.backend->target(), config.memory), in.spec);
  if (in.start.weights) load_parameters(below.layers->session(), in.model, *in.start.weights);
  else initialise_parameters(below.layers->session(), in.model, config.model.seed);
  return below;
}

// False where a signal broke it off.
bool store(LayersBelow& below, const StreamPlace& place, const StreamHeader& header, const Signals& signals) {
  constexpr double kSecondsBetweenLines = 30;
  const auto start = Clock::now();
  auto said = start;
  StreamWriter writer(place.path, header);
  const uint64_t first = place.windows->first(place.file);
  for (uint64_t w = 0; w < header.windows;) {
    if (signals.stop()) return false;
    const LayersBelow::Streams streams = below.run(*place.windows, first + w, first + header.windows);
    writer.append(streams.codes, streams.scales);
    w += streams.windows;
    if (seconds_since(said) < kSecondsBetweenLines) continue;
    said = Clock::now();
    write_message(fmt::format("tandem: replay: {} of {} windows of {}\n", w, header.windows, place.path));
  }
  writer.finish();
  write_message(fmt::format("tandem: replay: stored {} windows, {}, in {:.1f} s: {}\n", header.windows,
                            size_text(header.file_bytes()), seconds_since(start), place.path));
  return true;
}

// A disk that is too small is told before hours of work.
void require_space(const std::string& directory, uint64_t bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(directory, error);
  if (!error && space.available < bytes)
    fail(Exit::storage, directory, "the streams take {} bytes, and {} are free; make room, or use another directory",
         bytes, space.available);
}

}  // namespace

void open_streams(const RunConfig& config, const Registry& registry, RunInputs& inputs, const Signals& signals) {
  if (!config.replay.on()) return;
  make_directories(config.replay.directory);
  const uint64_t base = hash_of_base(config, inputs);
  const std::vector<StreamPlace> places = places_of(config.replay.directory, inputs.data);
  std::map<std::string, StreamHeader> headers;
  std::vector<const StreamPlace*> missing;
  uint64_t bytes = 0;
  for (const StreamPlace& place : places) {
    if (headers.contains(place.path)) continue;
    const StreamHeader& header = headers[place.path] = header_of(place, inputs, base);
    if (file_exists(place.path)) {
      StreamFile(place.path, header);  // checked before anything is computed
      continue;
    }
    missing.push_back(&place);
    bytes += header.file_bytes();
  }
  if (!missing.empty()) {
    const DirectoryLock lock(config.replay.directory);
    require_space(config.replay.directory, bytes);
    const Below below = open_below(config, registry, inputs);
    for (const StreamPlace* place : missing)
      if (!store(*below.layers, *place, headers.at(place->path), signals)) return;
  }
  for (const StreamPlace& place : places)
    place.windows->attach(place.file, std::make_shared<StreamFile>(place.path, headers.at(place.path)));
}

}  // namespace tandem
