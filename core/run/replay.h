// The streams of a replay (docs/replay.md): what enters the first layer with adapters, stored once for all windows of
// the run's token files.
#pragma once

#include "core/run/engine.h"
#include "core/run/signals.h"

namespace tandem {

// Opens the streams of all windows that the run is going to read, of training and of evaluation, and gives them to the
// data; what is not there yet is computed by a Program of the layers below on the engine's backend, and stored. Nothing
// where the configuration replays nothing. engine: planned and not loaded, as the layers below take its memory. A
// signal to stop breaks it off: then data has no streams, and no step may run. Exit::input: a file of other streams;
// Exit::configuration: another run stores there; Exit::storage; Exit::does_not_fit: the layers below.
void open_streams(const RunConfig& config, const Engine& engine, RunInputs& inputs, const Signals& signals);

}  // namespace tandem
