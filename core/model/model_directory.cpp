#include "core/model/model_directory.h"

#include <filesystem>

#include "core/base/file.h"
#include "core/data/bytes_tokenizer.h"
#include "core/data/tokenizer_files.h"

namespace tandem {
namespace {

void copy_tokenizer_files(const std::string& source, const std::string& directory) {
  for (const std::string& name : tokenizer_files(source).names) {
    const std::filesystem::path from = std::filesystem::path(source) / name,
                                to = std::filesystem::path(directory) / name;
    const std::string inside = to.parent_path();
    make_directories(inside);
    write_file_synced(to, read_text(from));
    sync_directory(inside);
  }
}

bool is_occupied(const std::string& path) {
  std::error_code none;  // a name that cannot be looked up is found when it is written
  return std::filesystem::exists(path, none) && !std::filesystem::is_empty(path, none);
}

void check_name(const std::string& out, bool replace) {
  std::string name = std::filesystem::path(out).filename().string();
  if (name.empty()) name = std::filesystem::path(out).parent_path().filename().string();  // a slash at its end
  if (name.empty() || name == "." || name == "..")
    fail(Exit::configuration, out, "does not name a new directory, for example exported/model");
  if (!replace && is_occupied(out))
    fail(Exit::configuration, out, "exists and is not empty; name another directory or remove it");
}

void put_in_place(const std::string& directory, const std::string& out) {
  if (!is_occupied(out)) return rename_synced(directory, out);
  const std::string old = beside(beside(out));  // out is missing only between two renames, and old then still has it
  remove_all(old);
  rename_synced(out, old);
  rename_synced(directory, out);
  remove_all(old);
}

// a directory with no tokenizer of its own, and room for the bytes
bool uses_bytes_tokenizer(const ModelSource& model) {
  return !tokenizer_files(model.path).has_tokenizer && model.config.vocabulary >= BytesTokenizer::kVocabulary;
}

}  // namespace

std::vector<OutputTensor> output_tensors(DType dtype, std::span<const ParameterSpec> specs,
                                         const ParameterReader& reader) {
  std::vector<OutputTensor> tensors;
  for (const ParameterSpec& spec : specs)
    for (const StoredTensor& part : spec.parts)
      tensors.push_back({part.name, {dtype, part.shape}, [&spec, &part, &reader] { return reader(spec, part); }});
  return tensors;
}

void write_directory(const std::string& out, bool replace, const std::function<void(const std::string&)>& fill) {
  check_name(out, replace);
  const std::string directory = beside(out);
  remove_all(directory);
  try {
    make_directories(directory);
    fill(directory);
    sync_directory(directory);
    put_in_place(directory, out);
  } catch (const Error&) {  // the space it took may be what is missing
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
    throw;
  }
}

void check_copied_files(const std::string& source) {
  for (const std::string& name : tokenizer_files(source).names) MappedFile{std::filesystem::path(source) / name};
}

void save_model_directory(const std::string& out, const std::string& source, DType dtype,
                          std::span<const OutputTensor> tensors, const SaveOptions& options) {
  check_name(out, options.replace);
  check_copied_files(source);
  const std::string config = source + "/config.json";
  const std::string rewritten = rewrite_model_config(read_text(config, Exit::configuration), config, dtype);
  write_directory(out, options.replace, [&](const std::string& directory) {
    write_file_synced(directory + "/config.json", rewritten);
    write_model_files(directory, tensors, options.shard_bytes);
    copy_tokenizer_files(source, directory);
    for (const ExtraFile& file : options.extra) write_file_synced(directory + "/" + file.name, file.text);
  });
}

void save_model_directory(const std::string& out, const ModelSource& model, DType dtype,
                          std::span<const OutputTensor> tensors, bool replace) {
  SaveOptions options;
  if (uses_bytes_tokenizer(model))
    options.extra = {{"tokenizer.json", bytes_tokenizer_json()},
                     {"tokenizer_config.json", bytes_tokenizer_config_json()}};
  options.replace = replace;
  save_model_directory(out, model.path, dtype, tensors, options);
}

void save_model(const ParameterReader& reader, const ModelSource& model, const Precision& precision,
                const std::string& out, bool replace) {
  const std::vector<ParameterSpec> specs = parameter_specs(model.config);
  save_model_directory(out, model, precision.compute(), output_tensors(precision.compute(), specs, reader), replace);
}

}  // namespace tandem
