// Writing safetensors, tensor by tensor, so that no more than one is in memory. Errors: Exit::storage.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/shape.h"

namespace tandem {

struct OutputTensor {
  std::string name;
  TensorDesc desc;  // its dtype one that stored_type takes
  // Its bytes, called once, in the order of the list; they need to last until the next call only.
  std::function<std::span<const std::byte>()> bytes;
};

constexpr uint64_t kShardBytes = 5'000'000'000;

// Runs of consecutive tensors of at most limit bytes together; one over the limit stands alone.
std::vector<std::span<const OutputTensor>> split_shards(std::span<const OutputTensor> tensors, uint64_t limit);

// One synced file, with metadata {"format": "pt"}, the header padded with spaces to a multiple of 8.
void write_safetensors(const std::string& path, std::span<const OutputTensor> tensors);

// directory/model.safetensors, or, over limit bytes of tensors, model-0000N-of-0000M.safetensors and
// model.safetensors.index.json. A tensor over the limit has a file of its own. Returns the names of the files.
std::vector<std::string> write_model_files(const std::string& directory, std::span<const OutputTensor> tensors,
                                           uint64_t limit = kShardBytes);

}  // namespace tandem
