// What a planner chooses: how a step trades time for memory. Recompute and offload change no bit of the result, nor do
// attention_chunks and optimizer_chunk; lm_head_chunks changes the order of a sum, and stands in every checkpoint.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/enum_set.h"
#include "core/graph/graph.h"

namespace tandem {

// Parts of a layer whose activations the backward pass makes again. norm: both norms; swiglu: the product;
// ffn: swiglu, gate | up and their norm; qkv: q | k | v and their norm; attention: its output; block: all of them, and
// the residual stream between attention and ffn, so that the layer's input alone is kept.
enum class Recompute : uint8_t { norm, swiglu, ffn, qkv, attention, block };
constexpr std::string_view kRecomputeNames[] = {"norm", "swiglu", "ffn", "qkv", "attention", "block"};

// What can live on the host between its uses: optimizer states by their number, from 0; parameters; fp8 copies of
// them, of a frozen base its codes; gradients; the residual stream.
constexpr uint32_t kMostStates = 8;
enum class Offload : uint8_t { parameters = kMostStates, copies, gradients, residuals };
constexpr size_t kOffloadCount = size_t(Offload::residuals) + 1;
constexpr Offload offload_of_state(uint32_t state) {
  return Offload(state);
}
constexpr bool is_state(Offload kind) {
  return uint32_t(kind) < kMostStates;
}
constexpr bool is_in_layers_alone(Offload kind) {
  return kind == Offload::copies || kind == Offload::residuals;
}
// The words of memory.offload, by Offload; states: those of the optimizer's states, by number; fp8: whether there are
// copies. Empty: nothing of that kind.
std::vector<std::string> offload_words(std::span<const std::string> states, bool fp8);

// The fp8 copies of a layer's parameters, made once per step. kept: codes and their transposes, for the backward pass.
// transposed: codes alone, which are transposed where the backward pass reads them. remade: neither, but from the
// parameter wherever a layer's pass reads them, with the step's one amax; not of a frozen base, which is codes.
enum class Copies : uint8_t { kept, transposed, remade };
constexpr std::string_view kCopiesNames[] = {"kept", "transposed", "remade"};

// Where a rank keeps a layer's fp8 weights from step to step, with zero = 3: all rows, or its own, from which all are
// gathered wherever a layer's pass reads them.
enum class Weights : uint8_t { gathered, resident };

// Where parameters are updated: behind the whole backward pass, or each behind its gradient's last addition, so that
// the gradients of all are never alive together. twice: a first pass takes the norm of all.
enum class Release : uint8_t { none, once, twice };
constexpr std::string_view kReleaseNames[] = {"none", "once", "twice"};

struct MemoryPolicy {
  // by layer; the last entry holds for further ones, none at all is the empty set
  std::vector<EnumSet<Recompute>> recompute;
  // by layer too; what belongs to no layer (embedding, final norm, LM head) has its own set
  std::vector<EnumSet<Offload>> offload;
  EnumSet<Offload> offload_outside;
  std::vector<Copies> copies;    // by layer too; none at all is kept
  std::vector<Weights> weights;  // by layer, likewise; none at all is gathered
  uint32_t gather_distance = 1;  // how many layers ahead weights are gathered
  // Kinds of which the device reads and writes host memory itself, with no copy: m, v, master, gradients, where
  // offloaded
  EnumSet<Offload> zero_copy;
  // how many layers ahead a prefetch is issued and how many later an evict's memory is free again: 1 keeps three
  // buffers, so that both directions run while the device computes; 0 keeps one
  uint32_t prefetch_distance = 1;
  uint32_t update_distance = 1;   // the same in begin and update, in parameters
  uint32_t lm_head_chunks = 0;    // parts of the tokens; 0: as StepShape says
  uint32_t attention_chunks = 1;  // parts of the sequences, at most, in attention's backward pass
  uint64_t optimizer_chunk = 0;   // elements that one AdamW instruction updates, at most; 0: whole parameters
  Release release = Release::none;

  EnumSet<Recompute> recompute_of(uint32_t layer) const;
  EnumSet<Offload> offload_of(uint32_t layer) const;  // kNoLayer: offload_outside
  Copies copies_of(uint32_t layer) const;
  Weights weights_of(uint32_t layer) const;
  bool operator==(const MemoryPolicy&) const = default;
};

// The same sets for every layer, and for what is outside of them.
MemoryPolicy uniform_policy(EnumSet<Recompute> recompute, EnumSet<Offload> offload);

// Members by name, "norm, swiglu"; "none" for the empty set. words: offload_words
std::string to_string(EnumSet<Recompute> set);
std::string to_string(EnumSet<Offload> set, std::span<const std::string> words);

}  // namespace tandem
