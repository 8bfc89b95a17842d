// The configuration of a training run: the keys of a TOML file, with their defaults.
// How a key is read, checked and written stands once, in config_keys.cpp; what each key means, in docs/formats.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/windows.h"
#include "core/model/lora.h"
#include "core/optimizer/options.h"
#include "core/passes/policy.h"

namespace tandem {

struct RunConfig {
  struct Model {
    std::string path;  // required: a Hugging Face directory
    bool from_scratch = false;
    uint64_t seed = 1;
  } model;

  struct Data {
    std::vector<std::string> train;  // required: token files, or patterns of them
    std::vector<std::string> eval;
    uint32_t sequence_length = 1024;  // tokens
    bool shuffle = true;
    uint64_t seed = 1;
    bool separate_documents = false;
    Packing packing = Packing::stream;
    std::vector<double> weights;           // one per entry of train: a mixture; none: all windows in listed order
    RawFormat format = RawFormat::none;    // "auto": what the header says
    std::optional<uint32_t> document_end;  // a token id; none: "auto", the file's document starts, else the end token
  } data;

  struct Batch {
    std::optional<uint32_t> micro_batch = 4;  // sequences, per rank; none: "auto"
    std::optional<uint32_t> gradient_accumulation = 1;
    uint32_t sequences = 0;  // per step, over all ranks; 0: the product of the two and the ranks
  } batch;

  struct Precision {
    std::string recipe = "fp8";  // fp32 | bf16 | fp8
    DType gradient_dtype = DType::bf16;
    DType activation_gradient_dtype = DType::e4m3;
    bool fast_accumulation = false;
  } precision;

  OptimizerOptions optimizer;

  struct Schedule {
    uint64_t steps = 1000;
    uint64_t warmup_steps = 50;
    std::string kind = "cosine";  // cosine | linear | constant
    double final_fraction = 0.1;
  } schedule;

  struct Memory {
    std::optional<uint64_t> device;               // bytes; none: "auto"
    std::optional<uint64_t> host;                 // bytes; none: "auto"
    std::optional<EnumSet<Recompute>> recompute;  // none: "auto"
    std::vector<std::string> offload = {"auto"};  // one of auto, none; or kinds of tensors, which settings.h reads
    std::optional<uint32_t> lm_head_chunks;       // none: "auto"
    std::optional<uint32_t> attention_chunks;     // none: "auto"
    std::optional<Release> release_gradients;     // none: "auto"
  } memory;

  struct Lora {
    uint32_t rank = 0;  // 0: every parameter trains, unless an adapter is named
    double alpha = 32;
    EnumSet<LoraModule> target_modules = kAllLinears;
    bool rslora = false;
    uint32_t first_layer = 0;  // the lowest that has adapters
    double dropout = 0;        // 0 alone
    std::string adapter;       // a PEFT directory to start from, which gives the keys above; empty: none

    bool on() const { return rank > 0 || !adapter.empty(); }
  } lora;

  struct Replay {
    std::string directory;  // for the streams that enter lora.first_layer; empty: they are computed in every step
    bool rounding = false;  // computed, and rounded as stored ones are

    bool on() const { return !directory.empty(); }
  } replay;

  struct Distributed {
    uint32_t devices = 1;
    uint32_t zero = 1;
    std::string collectives = "auto";
    uint32_t ranks_per_device = 1;
  } distributed;

  struct Checkpoint {
    uint64_t every = 100;  // steps
    uint32_t keep = 3;
  } checkpoint;

  struct Run {
    std::string directory;  // required
    std::string backend = "auto";
    uint64_t eval_every = 100;  // steps; 0: at the end only
    uint64_t eval_windows = 0;  // 0: all
    uint32_t max_skipped = 8;   // steps in a row
  } run;
};

// Reads a TOML file and then applies overrides, each "--section.key=value": value is a TOML value, or else taken as a
// string. Exit::configuration, naming the file and line or the flag: a missing or malformed file, an unknown key (with
// the nearest known one), a wrong type or range, a required key without a value, keys that contradict each other.
RunConfig load_config(const std::string& path, std::span<const std::string> overrides);

// The same for a text already read; path is for messages.
RunConfig parse_config(std::string_view toml, const std::string& path, std::span<const std::string> overrides);

// Every key with its value, as TOML that parse_config reads back to the same RunConfig.
std::string config_text(const RunConfig& config);

// config_text, written to path, synced, under its name only when whole.
void write_config(const std::string& path, const RunConfig& config);

}  // namespace tandem
