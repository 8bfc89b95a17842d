#include "core/run/checkpoint.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

#include "core/base/hash.h"
#include "core/base/parallel.h"
#include "core/model/adapter_directory.h"
#include "core/run/manifest.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step_", kUnfinished = ".tmp-";

uint64_t bytes_of_tensors(std::span<const OutputTensor> tensors) {
  constexpr uint64_t kDescription = 512;  // bytes of one tensor in a header and the manifest
  uint64_t total = 0;
  for (const OutputTensor& tensor : tensors) total += tensor.desc.bytes() + kDescription;
  return total;
}

void require_space(const std::string& directory, uint64_t bytes) {
  const std::optional<uint64_t> available = free_bytes(directory);
  if (!available) fail(Exit::storage, directory, "cannot tell the free space: {}", std::strerror(errno));
  constexpr uint64_t kSlack = 1 << 20;
  const uint64_t needed = bytes + kSlack;
  if (*available < needed)
    fail(Exit::storage, directory, "a checkpoint takes {} bytes and {} are free; free some space, then --resume",
         needed, *available);
}

std::span<const std::byte> header_of(const TensorFile& file) {
  uint64_t first = file.bytes().size();
  for (const auto& [name, info] : file.tensors()) first = std::min(first, info.begin);
  return file.bytes().first(first);
}

// the tensors as they are, each hashed as it passes
std::vector<OutputTensor> hashed(std::span<const OutputTensor> tensors, std::map<std::string, std::string>& hashes) {
  std::vector<OutputTensor> out;
  for (const OutputTensor& tensor : tensors)
    out.push_back({tensor.name, tensor.desc, [&tensor, &hashes] {
                     const std::span<const std::byte> bytes = tensor.bytes();
                     hashes[tensor.name] = xxh3(bytes);
                     return bytes;
                   }});
  return out;
}

// A file in directory, described in the manifest.
void write_tensors(const std::string& directory, const std::string& name, std::span<const OutputTensor> tensors,
                   Manifest& manifest) {
  CheckpointFile& entry = manifest.files[name];
  const std::string path = directory + "/" + name;
  write_safetensors(path, hashed(tensors, entry.hashes));
  const TensorFile written(path, Exit::storage);
  entry.bytes = written.bytes().size();
  entry.header_hash = xxh3(header_of(written));
}

// stem-0000N-of-0000M.safetensors in directory, described in the manifest
void write_shards(const std::string& directory, std::string_view stem, std::span<const OutputTensor> tensors,
                  uint64_t limit, Manifest& manifest) {
  const auto shards = split_shards(tensors, limit);
  for (size_t i = 0; i < shards.size(); ++i)
    write_tensors(directory, fmt::format("{}-{:05}-of-{:05}.safetensors", stem, i + 1, shards.size()), shards[i],
                  manifest);
}

// A PEFT directory's two files.
void write_adapter(const std::string& directory, std::span<const OutputTensor> tensors, Manifest& manifest) {
  write_tensors(directory, std::string(kAdapterTensors), tensors, manifest);
  write_file_synced(directory + "/" + std::string(kAdapterConfig), manifest.adapter_config);
}

// out of sight by a rename first, so that what a kill leaves is never taken for a damaged checkpoint
void remove_checkpoint(const std::string& path) {
  const std::string aside = beside(path);
  remove_all(aside);
  rename_synced(path, aside);
  remove_all(aside);
}

// after a failure that is being reported already
void remove_draft(const std::string& path) {
  try {
    remove_all(path);
  } catch (const Error&) {  // the next save removes it
  }
}

std::optional<uint64_t> step_of(const std::string& name) {
  if (!name.starts_with(kPrefix)) return {};
  uint64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  return error == std::errc() && at == end && checkpoint_name(step) == name ? std::optional(step) : std::nullopt;
}

// AdamW's t in a checkpoint; none when its manifest cannot be read
std::optional<uint32_t> updates_of(const std::string& directory, uint64_t step) {
  const std::string path = directory + "/" + checkpoint_name(step) + "/manifest.json";
  try {
    return parse_manifest(read_text(path), path).t;
  } catch (const Error&) {
    return {};
  }
}

// the names in a directory; none when it is not there
std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  if (!fs::exists(fs::symlink_status(directory, error))) return names;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename().string());
  if (error) fail(Exit::storage, directory, "cannot be read: {}", error.message());
  return names;
}

void require_kind(const std::string& path, bool directory) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) fail(Exit::input, path, "cannot be opened: {}", std::strerror(errno));
  if (S_ISLNK(status.st_mode)) fail(Exit::input, path, "is a symbolic link; name the checkpoint itself");
  if (directory ? !S_ISDIR(status.st_mode) : !S_ISREG(status.st_mode))
    fail(Exit::input, path, "is not a {}", directory ? "directory" : "regular file");
}

void require_read(std::span<const std::byte> bytes, const std::string& path) {
  if (!read_in(bytes)) fail(Exit::input, path, "cannot be read from its disk");
}

// at the processors' rate where the file is in memory, at the disk's where it is not
void verify_tensors(const TensorFile& file, const CheckpointFile& expected) {
  const std::vector<std::pair<std::string, std::string>> hashes(expected.hashes.begin(), expected.hashes.end());
  parallel_for(hashes.size(), 1, [&](uint64_t first, uint64_t last) {
    for (uint64_t i = first; i < last; ++i) {
      const auto& [tensor, hash] = hashes[i];
      require_read(file.bytes(tensor), file.path());
      if (xxh3(file.bytes(tensor)) != hash)
        fail(Exit::input, file.path(), "tensor {:.200} does not match its hash: it is damaged", tensor);
    }
  });
}

}  // namespace

InputFile input_file(const std::string& path) {
  const MappedFile file(path);
  return {path, file.bytes().size(), xxh3(file.bytes())};
}

std::string checkpoint_name(uint64_t step) {
  return fmt::format("{}{:08}", kPrefix, step);
}

void make_checkpoint_directory(const std::string& directory) {
  make_directory(directory);
  sync_directory(fs::absolute(directory).parent_path().string());
}

void write_checkpoint(const std::string& directory, Manifest manifest, std::span<const OutputTensor> model,
                      std::span<const OutputTensor> optimizer, uint64_t shard_bytes) {
  const std::string path = directory + "/" + checkpoint_name(manifest.step), draft = beside(path);
  remove_unfinished(directory);
  require_space(directory, bytes_of_tensors(model) + bytes_of_tensors(optimizer));
  manifest.files.clear();
  try {
    make_directory(draft);
    if (manifest.adapter_config.empty()) write_shards(draft, "model", model, shard_bytes, manifest);
    else write_adapter(draft, model, manifest);
    write_shards(draft, "optimizer", optimizer, shard_bytes, manifest);
    write_file_synced(draft + "/manifest.json", manifest_text(manifest));
    sync_directory(draft);
    if (fs::exists(fs::symlink_status(path))) {  // one that did not verify
      const std::string old = beside(draft);
      rename_synced(path, old);
    }
    rename_synced(draft, path);
  } catch (const Error&) {  // the space it took may be what is missing
    remove_draft(draft);
    throw;
  }
}

std::optional<uint64_t> last_good_checkpoint(const std::string& directory, uint64_t before, uint32_t t) {
  for (const uint64_t step : checkpoint_steps(directory))
    if (step < before && updates_of(directory, step).value_or(t) < t) return step;
  return {};
}

void rotate_checkpoints(const std::string& directory, uint64_t newest, uint32_t keep, std::optional<uint64_t> good) {
  uint32_t older = 0;
  for (const uint64_t step : checkpoint_steps(directory)) {
    const bool kept = step == newest || step == good || (step < newest && ++older < keep);
    if (!kept) remove_checkpoint(directory + "/" + checkpoint_name(step));
  }
  remove_unfinished(directory);
}

void remove_unfinished(const std::string& directory) {
  for (const std::string& name : names_in(directory))
    if (name.starts_with(kUnfinished)) remove_all(fs::path(directory) / name);
}

std::vector<uint64_t> checkpoint_steps(const std::string& directory) {
  std::vector<uint64_t> steps;
  for (const std::string& name : names_in(directory))
    if (const auto step = step_of(name)) steps.push_back(*step);
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

Checkpoint::Checkpoint(const std::string& path, Verified verified) : path_(path) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  require_kind(path_, true);
  const std::string name = fs::path(path_).filename().string(), manifest = path_ + "/manifest.json";
  if (name.starts_with(kUnfinished)) fail(Exit::input, path_, "was never finished; name another checkpoint");
  if (!file_exists(manifest)) fail(Exit::input, path_, "has no manifest.json: it is not a whole checkpoint");
  require_kind(manifest, false);
  manifest_ = parse_manifest(read_text(manifest), manifest);
  for (const auto& [file, expected] : manifest_.files) verify(file, expected, verified);
  if (const std::string config = path_ + "/" + std::string(kAdapterConfig);
      !manifest_.adapter_config.empty() && read_text(config) != manifest_.adapter_config)
    fail(Exit::input, config, "is not what manifest.json says was written: it is damaged");
}

void Checkpoint::verify(const std::string& name, const CheckpointFile& expected, Verified verified) {
  const std::string path = path_ + "/" + name;
  if (name.find('/') != name.npos) fail(Exit::input, path, "is outside its checkpoint");
  require_kind(path, false);
  if (const uint64_t bytes = fs::file_size(path); bytes != expected.bytes)
    fail(Exit::input, path, "has {} bytes, {} were written: it is damaged", bytes, expected.bytes);
  constexpr size_t kHeader = 1 << 20;
  const MappedFile mapped(path);
  require_read(mapped.bytes().first(std::min(mapped.bytes().size(), kHeader)), path);
  const TensorFile& file = files_.emplace_back(path);
  if (xxh3(header_of(file)) != expected.header_hash || file.tensors().size() != expected.hashes.size())
    fail(Exit::input, path, "its header does not match its hash: it is damaged");
  if (verified == Verified::bytes) verify_tensors(file, expected);
  for (const auto& [tensor, hash] : expected.hashes)
    if (!file_of_.emplace(tensor, files_.size() - 1).second)
      fail(Exit::input, path, "tensor {:.200} is in two files", tensor);
}

std::span<const std::byte> Checkpoint::bytes(const std::string& tensor, const TensorDesc& desc) const {
  const auto at = file_of_.find(tensor);
  if (at == file_of_.end()) fail(Exit::input, path_, "tensor {:.200} is missing: it is another model's", tensor);
  const TensorFile& file = files_[at->second];
  const StoredInfo& info = file.info(tensor);
  if (info.type != stored_type(desc.dtype) || info.shape != desc.shape)
    fail(Exit::input, file.path(), "tensor {:.200} is {} {}, {} was expected: it is another model's", tensor,
         name_of(info.type), info.shape, desc);
  return file.bytes(tensor);
}

}  // namespace tandem
