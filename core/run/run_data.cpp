#include "core/run/run_data.h"

#include <algorithm>

#include "core/data/file_pattern.h"
#include "core/data/mixture.h"
#include "core/data/tokenizer.h"
#include "core/model/model_source.h"

namespace tandem {
namespace {

// The token that ends documents by the model's own files.
std::optional<int32_t> end_token_of(const ModelSource& model) {
  if (const auto end = end_token(model.path, model.config.vocabulary)) return *end;
  if (model.config.eos_ids.empty()) return {};
  return int32_t(model.config.eos_ids.front());
}

bool all_say(const std::vector<TokenFiles>& files) {
  const auto says = [](const auto& file) { return file->documents().known(); };
  return std::ranges::all_of(files, [&](const TokenFiles& some) { return std::ranges::all_of(some, says); });
}

// The files of some entries, each entry a source of its own or all of them one.
std::vector<TokenFiles> open_sources(const std::vector<std::string>& entries, std::string_view key, bool apart,
                                     const RunConfig::Data& d, uint64_t vocabulary) {
  std::vector<TokenFiles> sources(apart ? entries.size() : 1);
  for (size_t i = 0; i < entries.size(); ++i) {
    const TokenFiles files = open_token_files(files_of(entries[i], key), vocabulary, d.format);
    TokenFiles& source = sources[apart ? i : 0];
    source.insert(source.end(), files.begin(), files.end());
  }
  return sources;
}

// What a set of windows holds, in words.
std::string describe(const Windows& windows) {
  const WindowCounts& c = windows.counts();
  const double places = double(c.windows) * double(windows.sequence_length());
  std::string text =
      fmt::format("{} windows, {:.1f}% filled, {:.1f}% of the places are targets, {} windows have none", c.windows,
                  100 * double(c.inputs) / places, 100 * double(c.targets) / places, c.without_targets);
  if (c.documents_cut) text += fmt::format(", {} documents cut", *c.documents_cut);
  return text;
}

}  // namespace

DocumentEnd document_end_in(const std::vector<TokenFiles>& files, const ModelSource& model, DocumentEnd end) {
  if (end.automatic && !all_say(files)) end.token = end_token_of(model);
  if (end.token && uint32_t(*end.token) >= model.config.vocabulary)
    fail(Exit::configuration, end.where, "token {} is outside the model's vocabulary of {}", *end.token,
         model.config.vocabulary);
  return end;
}

RunData open_data(const RunConfig& config, const ModelSource& model, const StepShape& shape, uint32_t rank) {
  warn_of_length("data.sequence_length", shape.sequence_length, model.config);
  const RunConfig::Data& d = config.data;
  std::vector<TokenFiles> files = open_sources(d.train, "data.train", !d.weights.empty(), d, model.config.vocabulary);
  if (!d.eval.empty()) files.push_back(open_sources(d.eval, "data.eval", false, d, model.config.vocabulary).front());
  WindowOptions options{
      .sequence_length = shape.sequence_length, .packing = d.packing, .separate_documents = d.separate_documents};
  if (d.document_end) options.document_end = {.automatic = false, .token = int32_t(*d.document_end)};
  if (options.separate()) options.document_end = document_end_in(files, model, options.document_end);
  RunData data;
  if (!d.eval.empty()) {
    data.eval = std::make_unique<Windows>(open_windows(files.back(), options));
    files.pop_back();
  }
  std::vector<Windows> sources;
  sources.reserve(files.size());
  for (const TokenFiles& source : files) sources.push_back(open_windows(source, options));
  data.train = std::make_unique<Loader>(std::move(sources), LoaderOptions{.micro_batch = shape.micro_batch,
                                                                          .accumulation = shape.accumulation,
                                                                          .rank = rank,
                                                                          .ranks = config.distributed.devices,
                                                                          .shuffle = d.shuffle,
                                                                          .seed = d.seed,
                                                                          .weights = d.weights});
  return data;
}

std::vector<std::string> describe_data(const RunConfig& config, const RunData& data, const StepShape& shape) {
  const std::vector<Windows>& sources = data.train->sources();
  const std::vector<uint32_t>& counts = data.train->counts();
  const double sequences =
      double(config.schedule.steps) * shape.micro_batch * shape.accumulation * config.distributed.devices;
  std::vector<std::string> lines;
  for (size_t i = 0; i < sources.size(); ++i) {
    const double share = counts.empty() ? 1 : double(counts[i]) / kMixtureBlock;
    lines.push_back(fmt::format("data{}: {}, {:.3g} epochs",
                                counts.empty() ? "" : fmt::format(" {} ({:.2f}%)", config.data.train[i], 100 * share),
                                describe(sources[i]), sequences * share / double(sources[i].count())));
  }
  return lines;
}

std::vector<InputFile> run_inputs(const RunConfig& config) {
  std::vector<InputFile> inputs{input_file(config.model.path + "/config.json")};
  const auto add = [&](const std::vector<std::string>& entries, std::string_view key) {
    for (const std::string& entry : entries)
      for (const std::string& file : files_of(entry, key))
        for (const std::string& part : parts_of(file, config.data.format)) inputs.push_back(input_file(part));
  };
  add(config.data.train, "data.train");
  add(config.data.eval, "data.eval");
  return inputs;
}

}  // namespace tandem
