// The documents that share a window, so that none is cut that fits into one: data.packing = "whole".
//
// A document of L tokens takes L - 1 places: its inputs, all but the last token; one that takes more than T is cut into
// pieces of T and a rest. Pieces go, in the file's order, each into the first window that has room. The plan is a
// function of the document starts and T, kept beside the token file; docs/formats.md has its layout.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/data/documents.h"

namespace tandem {

struct PackPlan {
  std::vector<uint64_t> windows;  // (W + 1) the first piece of each window, then the number of pieces
  std::vector<uint64_t> first;    // (P) the first token of each piece
  std::vector<uint32_t> places;   // (P) the inputs of each piece

  uint64_t window_count() const { return windows.size() - 1; }
  bool operator==(const PackPlan&) const = default;
};

PackPlan make_pack_plan(const Documents& documents, uint32_t sequence_length);

// The content of a plan's file, and the plan in one; none where it is damaged or belongs to other documents or another
// sequence length.
std::vector<std::byte> pack_plan_bytes(const PackPlan& plan, const Documents& documents, uint32_t sequence_length);
std::optional<PackPlan> read_pack_plan(std::span<const std::byte> bytes, const Documents& documents,
                                       uint32_t sequence_length);

// The plan of a token file: read from TOKENS.pack-T where that is sound, else made, and written there if it can be.
PackPlan pack_plan_of(const std::string& tokens, const Documents& documents, uint32_t sequence_length);

}  // namespace tandem
