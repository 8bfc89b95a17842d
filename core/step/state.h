// The bytes of a step's state, between sessions and files. Files hold whole tensors; of several ranks each has its own
// rows of a matrix.
#pragma once

#include "core/model/weights.h"
#include "core/runtime/session.h"

namespace tandem {

// The part of a parameter or state that a file holds, without padding; the result lies in buffer. world: that of a
// session of several ranks, all of which call this alike; the root gets the bytes, the others nothing.
std::span<const std::byte> read_stored(const Session& session, World* world, const std::string& binding,
                                       const StoredTensor& part, std::vector<std::byte>& buffer);
// The same into memory of that size; nothing is written on other ranks than the root.
void copy_stored(const Session& session, World* world, const std::string& binding, const StoredTensor& part,
                 std::span<std::byte> to);
// The reverse: a rank writes the rows of it that it has.
void write_stored(Session& session, const std::string& binding, const StoredTensor& part,
                  std::span<const std::byte> bytes, std::vector<std::byte>& buffer);

}  // namespace tandem
