// Policies as the search writes them, and those that a request leaves it.
#pragma once

#include <array>

#include "core/plan/planner.h"

namespace tandem {

constexpr uint32_t kMostDistance = 2;  // the longest that a search ranks

// A policy as the search writes it: what the first layers do, what the rest do, how many layers offload what.
struct Choice {
  EnumSet<Recompute> first, rest;
  uint32_t first_layers = 0;  // layers that recompute `first`
  std::array<uint32_t, kOffloadCount>
      offloaded{};  // layers, by Offload; one more than all: what is outside of them too
  uint32_t head_chunks = 1, attention_chunks = 1;
  uint32_t remade = 0;      // layers whose fp8 copies are remade rather than kept
  bool transposed = false;  // in the others: see Copies
  EnumSet<Offload> zero_copy;
  uint32_t distance = 1, update_distance = 1;  // prefetch distances in layers, and in begin and update

  void recompute(EnumSet<Recompute> set) { first = rest = set; }  // in all layers
  bool copies_in_layers() const;
  bool copies_in_update() const;
  auto operator<=>(const Choice&) const = default;
};
MemoryPolicy policy_of(const Choice& choice, uint32_t layers, Release release = Release::none);
// The same in a model of few layers, for what a choice does in all of them or in none; some layers become all.
Choice of_layers(const Choice& choice, uint32_t layers, uint32_t few);

// The ways to release gradients that the step and the limits leave. twice, which costs a second forward and backward
// pass, is the last one: for steps that fit in no other way.
std::vector<Release> releases(const PlanRequest& request);
// The request with one of them fixed.
PlanRequest with_release(PlanRequest request, Release release);
Release release_of(const PlanRequest& request);  // none where it is not fixed

// True if the layer is among the n out of all that a choice means, spread evenly so that copies are.
bool is_chosen(uint32_t layer, uint32_t n, uint32_t layers);

// The sets that the limits leave, without two that do the same.
std::vector<EnumSet<Recompute>> recompute_sets(const PolicyLimits& limits, bool coarse = false);
// The kinds that the limits leave and the model has.
std::vector<Offload> offload_kinds(const PlanRequest& request);
// Optimizer states, each byte of which is read and written once, where the Target says how fast.
std::vector<Offload> zero_copy_kinds(const PlanRequest& request);
std::vector<uint32_t> head_chunk_counts(const PlanRequest& request);
std::vector<uint32_t> attention_chunk_counts(const PlanRequest& request);

}  // namespace tandem
