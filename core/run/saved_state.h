// What a step reads from the step before: parameters, m, v, master and t, between a session and a checkpoint.
#pragma once

#include "core/model/precision.h"
#include "core/model/weights.h"
#include "core/run/checkpoint.h"
#include "core/runtime/session.h"

namespace tandem {

// A part of the parameter, m, v or master that is bound so, as files hold it; in buffer.
std::span<const std::byte> read_stored(const Session& session, const std::string& binding, const StoredTensor& part,
                                       std::vector<std::byte>& buffer);

// Writes the session's state as a checkpoint of manifest.step; t is filled in. One parameter at a time is in host
// memory.
void save_state(const Session& session, std::span<const ParameterSpec> specs, const std::string& directory,
                Manifest manifest);

// The reverse, to the bit. Exit::input when the checkpoint is of another model or other precisions; nothing is written
// to the session then.
void restore_state(Session& session, std::span<const ParameterSpec> specs, const Checkpoint& checkpoint);

}  // namespace tandem
