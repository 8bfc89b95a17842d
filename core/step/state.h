// The bytes of a step's state, between a session and files.
#pragma once

#include "core/model/weights.h"
#include "core/runtime/session.h"

namespace tandem {

// The part of a parameter or state that a file holds, without padding; the result lies in buffer.
std::span<const std::byte> read_stored(const Session& session, const std::string& binding, const StoredTensor& part,
                                       std::vector<std::byte>& buffer);
// The reverse.
void write_stored(Session& session, const std::string& binding, const StoredTensor& part,
                  std::span<const std::byte> bytes, std::vector<std::byte>& buffer);

}  // namespace tandem
