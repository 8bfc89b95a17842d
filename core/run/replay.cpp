#include "core/run/replay.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/message.h"
#include "core/base/size.h"
#include "core/base/stopwatch.h"
#include "core/model/cut.h"
#include "core/run/metrics.h"
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
  StreamHeader header;
};

// One run at a time stores in a directory.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    lock_open_file(descriptor_, path, "replay.directory",
                   fmt::format("another run stores streams in {}; wait for it, or use another directory", path));
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

StreamHeader header_of(const Windows& windows, size_t file, const RunInputs& in, uint64_t base) {
  return {.hidden = in.spec.model.hidden,
          .layer = in.spec.model.first_layer,
          .sequence_length = in.spec.shape.sequence_length,
          .windows = windows.count(file),
          .tokens = windows.hash(file),
          .base = base,
          .recipe = std::string(name_of(in.spec.precision.recipe))};
}

// train: whether steps are left, which read theirs.
std::vector<StreamPlace> places_of(const RunConfig& config, RunInputs& in, bool train) {
  const uint64_t base = hash_of_base(config, in);
  std::vector<StreamPlace> places;
  const auto add = [&](Windows& windows) {
    for (size_t f = 0; f < windows.files(); ++f)
      places.push_back(
          {&windows, f, path_of(config.replay.directory, windows.file(f)), header_of(windows, f, in, base)});
  };
  if (train)
    for (Windows& source : in.data.train->sources()) add(source);
  if (in.data.eval) add(*in.data.eval);
  return places;
}

// Those whose file is not there, each file once. Exit::input for one of other streams, before anything is computed.
std::vector<const StreamPlace*> missing(const std::vector<StreamPlace>& places) {
  std::vector<const StreamPlace*> found;
  std::set<std::string> seen;
  for (const StreamPlace& place : places) {
    if (!seen.insert(place.path).second) continue;
    if (file_exists(place.path)) StreamFile(place.path, place.header);
    else found.push_back(&place);
  }
  return found;
}

LayersBelow open_below(const RunConfig& config, const Engine& engine, const RunInputs& in) {
  LayersBelow below(*engine.backend, within_budget(engine.backend->target(), config.memory), engine.spec);
  if (in.start.weights) load_parameters(below.session(), in.model, *in.start.weights);
  else initialise_parameters(below.session(), in.model, config.model.seed);
  return below;
}

// False where a signal broke it off.
bool store(LayersBelow& below, const StreamPlace& place, const Signals& signals) {
  constexpr double kSecondsBetweenLines = 30;
  const auto start = Clock::now();
  auto said = start;
  const StreamHeader& header = place.header;
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

// A run that was killed leaves the file that it wrote.
void remove_leftovers(const std::string& directory) {
  std::vector<std::string> leftovers;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(directory, none))
    if (const std::string name = entry.path().filename().string();
        name.starts_with(".tmp-") && name.ends_with(".stream"))
      leftovers.push_back(entry.path().string());
  for (const std::string& path : leftovers) remove_all(path);
}

// A disk that is too small is told before hours of work. Scales of the file that is written stand there twice.
void require_space(const std::string& directory, const std::vector<const StreamPlace*>& missing) {
  uint64_t bytes = 0, scales = 0;
  for (const StreamPlace* place : missing) {
    bytes += place->header.file_bytes();
    scales = std::max(scales, place->header.windows * place->header.scale_bytes());
  }
  const std::optional<uint64_t> available = free_bytes(directory);
  if (available && *available < bytes + scales)
    fail(Exit::storage, directory,
         "the streams take {} bytes while they are written, and {} are free; make room, or use another directory",
         bytes + scales, *available);
}

// Stores what no other run has stored meanwhile; false where a signal broke it off.
bool store_missing(const RunConfig& config, const Engine& engine, const RunInputs& in,
                   const std::vector<StreamPlace>& places, const Signals& signals) {
  const std::string& directory = config.replay.directory;
  make_directories(directory);
  const DirectoryLock lock(directory);
  remove_leftovers(directory);
  const std::vector<const StreamPlace*> left = missing(places);
  if (left.empty()) return true;
  require_space(directory, left);
  LayersBelow below = open_below(config, engine, in);
  return std::ranges::all_of(left, [&](const StreamPlace* place) { return store(below, *place, signals); });
}

// Whether no evaluation of the last step is left to be done.
bool is_evaluated(const RunInputs& in, uint64_t step) {
  return !in.data.eval || step == 0 || was_evaluated(in.directory->metrics(), step);
}

}  // namespace

void open_streams(const RunConfig& config, const Engine& engine, RunInputs& inputs, const Signals& signals) {
  if (!config.replay.on()) return;
  const uint64_t step = inputs.start.checkpoint ? inputs.start.checkpoint->manifest().step : 0;
  const bool steps_left = step < config.schedule.steps;
  if (!steps_left && is_evaluated(inputs, step)) return;
  const std::vector<StreamPlace> places = places_of(config, inputs, steps_left);
  if (!missing(places).empty() && !store_missing(config, engine, inputs, places, signals)) return;
  for (const StreamPlace& place : places)
    place.windows->attach(place.file, std::make_shared<StreamFile>(place.path, place.header));
}

}  // namespace tandem
