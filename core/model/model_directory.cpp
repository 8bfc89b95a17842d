#include "core/model/model_directory.h"

#include <filesystem>

#include "core/base/file.h"

namespace tandem {
namespace {

constexpr std::string_view kCopied[] = {"tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "tokenizer.model",
                                        "added_tokens.json",
                                        "chat_template.jinja",
                                        "generation_config.json"};

// the stored tensors in order; the parts of a parameter share one call of reader
std::vector<OutputTensor> output_tensors(DType dtype, std::span<const ParameterSpec> specs,
                                         const ParameterReader& reader, std::span<const std::byte>& current) {
  std::vector<OutputTensor> tensors;
  for (const ParameterSpec& spec : specs)
    for (const StoredTensor& part : spec.parts) {
      const TensorDesc desc{dtype, part.shape};
      const uint64_t row_bytes = desc.bytes() / part.shape[0];
      tensors.push_back({part.name, desc, [&spec, &part, &reader, &current, desc, row_bytes] {
                           if (part.first_row == 0) current = reader(spec);
                           return current.subspan(part.first_row * row_bytes, desc.bytes());
                         }});
    }
  return tensors;
}

void put_in_place(const std::string& directory, const std::string& out) {
  std::error_code none;
  const bool occupied = std::filesystem::exists(out) && !std::filesystem::is_empty(out, none);
  if (!occupied) return rename_synced(directory, out);
  const std::string old = beside(beside(out));  // out is missing only between two renames, and old then still has it
  remove_all(old);
  rename_synced(out, old);
  rename_synced(directory, out);
  remove_all(old);
}

}  // namespace

void save_model_directory(const std::string& out, const std::string& source, DType dtype,
                          std::span<const ParameterSpec> specs, const ParameterReader& reader,
                          const SaveOptions& options) {
  std::error_code error;
  if (!options.replace && std::filesystem::exists(out) && !std::filesystem::is_empty(out, error))
    fail(Exit::configuration, out, "exists and is not empty; name another directory or remove it");
  const std::string config = source + "/config.json";
  const std::string rewritten = rewrite_model_config(read_text(config, Exit::configuration), config, dtype);

  const std::string directory = beside(out);
  remove_all(directory);
  make_directories(directory);
  write_file_synced(directory + "/config.json", rewritten);
  std::span<const std::byte> current;
  write_model_files(directory, output_tensors(dtype, specs, reader, current), options.shard_bytes);
  for (const std::string_view name : kCopied) {
    const std::string from = fmt::format("{}/{}", source, name);
    if (file_exists(from)) write_file_synced(fmt::format("{}/{}", directory, name), read_text(from));
  }
  for (const ExtraFile& file : options.extra) write_file_synced(directory + "/" + file.name, file.text);
  sync_directory(directory);
  put_in_place(directory, out);
}

}  // namespace tandem
