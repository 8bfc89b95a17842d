// Checkpoints on disk: RUN/checkpoints/step_00000100 holds model-*.safetensors and optimizer-*.safetensors (stored
// names; suffixes .m, .v, .master) and manifest.json, which describes every byte of them. Written beside as
// .tmp-step_N, each file synced, the manifest last; the rename makes it a checkpoint.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model/safetensors.h"
#include "core/model/safetensors_writer.h"

namespace tandem {

// A file that the run reads: its hash must be the same when the run is resumed.
struct InputFile {
  std::string path;
  uint64_t bytes = 0;
  std::string hash;  // xxh3
};
InputFile input_file(const std::string& path);  // reads it whole; Exit::input

struct CheckpointFile {
  uint64_t bytes = 0;
  std::string header_hash;                    // bytes of all before the first tensor
  std::map<std::string, std::string> hashes;  // xxh3 by tensor
};

// Where a run stands between two steps.
struct Position {
  uint64_t step = 0;      // finished steps
  uint64_t sequence = 0;  // saves of this run so far
  uint64_t tokens = 0;    // input tokens so far
  uint32_t t = 0;         // updates done: AdamW's t
  uint32_t skipped = 0;   // steps in a row whose loss or norm was not finite, those without targets left out
};

// How many ranks a run has, and how they share its step.
struct WorldRecord {
  uint32_t ranks = 1, hosts = 1, zero = 1;
  std::string collectives = "none";  // none, nccl, copy or host: who moves the bytes
};

// manifest.json; its save is counted in sequence
struct Manifest : Position {
  std::string config;                          // the merged configuration, TOML
  std::string backend, device;                 // where it ran
  uint32_t micro_batch = 0, accumulation = 0;  // as chosen or set; 0: a checkpoint that leaves them to config
  uint32_t head_chunks = 1;                    // LM-head chunks: part of the result, kept on resume
  std::map<std::string, std::string> kernels;  // the backend's KernelChoices
  WorldRecord world;                           // the ranks that it had
  std::vector<InputFile> inputs;               // the model's config.json and the token files
  std::map<std::string, CheckpointFile> files;
  std::string adapter_config;               // LoRA: the text of adapter_config.json; else empty
  std::map<std::string, std::string> base;  // LoRA: xxh3 of the base's stored tensors
  std::optional<uint32_t> last_norm;        // with optimizer.clip_by = "previous": that norm, by its bits
};

// "step_00000100"
std::string checkpoint_name(uint64_t step);

// Makes the directory that checkpoints are written to, where it is not there yet, but not the one that holds it.
void make_checkpoint_directory(const std::string& directory);

// Writes directory/step_N, replacing what is there under that name. files is filled in. The directory is there: where
// it is not any more, nothing is made. Exit::storage, also when there is not enough space, before anything is written;
// what was there stays then.
void write_checkpoint(const std::string& directory, Manifest manifest, std::span<const OutputTensor> model,
                      std::span<const OutputTensor> optimizer, uint64_t shard_bytes = kShardBytes);

// The newest checkpoint of a step before this one with fewer updates than t: a step from it had a finite loss and norm.
std::optional<uint64_t> last_good_checkpoint(const std::string& directory, uint64_t before, uint32_t t);

// Removes every checkpoint but the one of newest, the keep - 1 before it, and good. Those after newest belong to a part
// of the run that was given up.
void rotate_checkpoints(const std::string& directory, uint64_t newest, uint32_t keep,
                        std::optional<uint64_t> good = {});

// What a killed save or rotation left.
void remove_unfinished(const std::string& directory);

// The steps of the checkpoints in a directory, newest first, sound or not; none when it is not there.
std::vector<uint64_t> checkpoint_steps(const std::string& directory);

// bytes: each one is read and compared with its hash. sizes: those of files, where another process has read the bytes.
enum class Verified : uint8_t { bytes, sizes };

// A checkpoint that was verified. Exit::input, naming the file and the reason, for one that is not whole.
class Checkpoint {
 public:
  explicit Checkpoint(const std::string& path, Verified verified = Verified::bytes);

  const std::string& path() const { return path_; }
  const Manifest& manifest() const { return manifest_; }
  // A stored tensor, model or optimizer, that must have this desc: Exit::input, naming it.
  std::span<const std::byte> bytes(const std::string& tensor, const TensorDesc& desc) const;
  size_t tensors() const { return file_of_.size(); }

 private:
  void verify(const std::string& name, const CheckpointFile& expected, Verified verified);

  std::string path_;
  Manifest manifest_;
  std::vector<TensorFile> files_;
  std::map<std::string, size_t> file_of_;  // by tensor
};

}  // namespace tandem
