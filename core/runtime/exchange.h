// Collectives of a Program, and reads from a peer, for executors whose memory the host sees. In threads of one process
// each rank copies from the others' memory; between processes the bytes go through World.
//
// All ranks call the same functions in the same order with the same label and lengths, as with World.
#pragma once

#include <span>
#include <string_view>

#include "core/program/collective.h"
#include "core/runtime/world.h"

namespace tandem {

// One item of a collective. from is a rank's first part, and part r begins r * stride bytes behind it; stride 0: one
// part, the same for every rank. from may be the own part of `to`, and overlaps it in no other way; for all_reduce_max
// it may be all of it.
struct ExchangeItem {
  Bytes from;
  uint64_t stride = 0;
  MutableBytes to;  // R parts in rank order; for all_reduce_max as many u32 words as from
};
void exchange(World& world, CollectiveKind kind, std::string_view label, std::span<const ExchangeItem> items);

// A read from what a rank shows.
struct Pull {
  uint32_t rank = 0;
  uint64_t offset = 0;
  MutableBytes to;
};
// Every rank shows `shown`, does its own pulls, in order, and returns when all have done theirs. The pulls need not be
// the same on all ranks; shown has one length.
void pull(World& world, std::string_view label, Bytes shown, std::span<const Pull> pulls);

}  // namespace tandem
