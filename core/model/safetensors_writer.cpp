#include "core/model/safetensors_writer.h"

#include <cstring>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/model/safetensors.h"

namespace tandem {
namespace {

std::string header_of(std::span<const OutputTensor> tensors) {
  Json header = Json::object();
  header["__metadata__"] = {{"format", "pt"}};
  uint64_t at = 0;
  for (const OutputTensor& tensor : tensors) {
    TANDEM_CHECK(!header.contains(tensor.name), "tensor {} is written twice", tensor.name);
    const uint64_t end = at + tensor.desc.bytes();
    const std::span<const uint64_t> sizes = tensor.desc.shape.sizes();
    Json& entry = header[tensor.name];
    entry["dtype"] = name_of(stored_type(tensor.desc.dtype));
    entry["shape"] = std::vector(sizes.begin(), sizes.end());
    entry["data_offsets"] = {at, end};
    at = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

std::vector<std::span<const OutputTensor>> split_shards(std::span<const OutputTensor> tensors, uint64_t limit) {
  std::vector<std::span<const OutputTensor>> shards;
  size_t first = 0;
  uint64_t bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const uint64_t size = tensors[i].desc.bytes();
    if (i > first && bytes + size > limit) {
      shards.push_back(tensors.subspan(first, i - first));
      first = i, bytes = 0;
    }
    bytes += size;
  }
  shards.push_back(tensors.subspan(first));
  return shards;
}

void write_safetensors(const std::string& path, std::span<const OutputTensor> tensors) {
  const std::string header = header_of(tensors);
  const uint64_t length = header.size();
  OutputFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(std::as_bytes(std::span(header)));
  for (const OutputTensor& tensor : tensors) {
    const std::span<const std::byte> bytes = tensor.bytes();
    TANDEM_CHECK(bytes.size() == tensor.desc.bytes(), "tensor {} {} came with {} bytes", tensor.name, tensor.desc,
                 bytes.size());
    file.write(bytes);
  }
  file.finish();
}

std::vector<std::string> write_model_files(const std::string& directory, std::span<const OutputTensor> tensors,
                                           uint64_t limit) {
  const auto shards = split_shards(tensors, limit);
  if (shards.size() == 1) {
    write_safetensors(directory + "/model.safetensors", tensors);
    return {"model.safetensors"};
  }
  std::vector<std::string> names;
  Json weights = Json::object();
  uint64_t total = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    names.push_back(fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size()));
    write_safetensors(directory + "/" + names.back(), shards[i]);
    for (const OutputTensor& tensor : shards[i]) {
      weights[tensor.name] = names.back();
      total += tensor.desc.bytes();
    }
  }
  Json index;
  index["metadata"]["total_size"] = total;
  index["weight_map"] = std::move(weights);
  names.push_back("model.safetensors.index.json");
  write_file_synced(directory + "/" + names.back(), write_json(index));
  return names;
}

}  // namespace tandem
