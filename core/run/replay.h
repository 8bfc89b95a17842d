// The streams of a replay (docs/replay.md): what enters the first layer with adapters, stored once for all windows of
// the run's token files.
#pragma once

#include "core/run/inputs.h"
#include "core/run/signals.h"
#include "core/runtime/registry.h"

namespace tandem {

// Opens the streams of all windows, of training and of evaluation, and gives them to the data; what is not there yet is
// computed by a Program of the layers below, and stored. Nothing where the configuration replays nothing. A signal to
// stop breaks it off: then data has no streams, and no step may run. Exit::input: a file of other streams;
// Exit::storage; Exit::does_not_fit: the layers below.
void open_streams(const RunConfig& config, const Registry& registry, RunInputs& inputs, const Signals& signals);

}  // namespace tandem
