// What the memories of all backends share: checks, messages, and copies to and from memory that the host does not see.
#pragma once

#include <vector>

#include "core/runtime/backend.h"

namespace tandem {

// Broken invariant where bytes of an arena lie outside of it.
void check_range(const Arena& arena, uint64_t offset, uint64_t bytes);

// Exit::does_not_fit: what ("arena NAME", "a staging buffer") finds no memory. left: bytes that the device still has;
// none where the API does not tell.
[[noreturn]] void fail_device_memory(std::string_view backend, std::string_view what, uint64_t bytes,
                                     std::optional<uint64_t> left = {});
[[noreturn]] void fail_host_memory(std::string_view backend, std::string_view what, uint64_t bytes);

// By all processors; the bytes do not overlap.
void copy_bytes(std::byte* to, const std::byte* from, uint64_t bytes);

// The memories that a Program is loaded with, one per arena. Broken invariant for memory of another backend, or too
// little of it.
template <typename ArenaMemory>
std::vector<ArenaMemory*> memories_of(const Program& program, std::span<Memory* const> memories) {
  TANDEM_CHECK(memories.size() == program.arenas.size(), "{} memories for {} arenas", memories.size(),
               program.arenas.size());
  std::vector<ArenaMemory*> arenas;
  for (size_t i = 0; i < memories.size(); ++i) {
    arenas.push_back(dynamic_cast<ArenaMemory*>(memories[i]));
    TANDEM_CHECK(arenas.back() != nullptr && arenas.back()->arena().bytes >= program.arenas[i].bytes,
                 "arena {}: wrong memory", program.arenas[i].name);
  }
  return arenas;
}

}  // namespace tandem
