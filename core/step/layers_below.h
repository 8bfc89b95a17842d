// The embedding and the layers below a cut on a device: what makes the streams that a replay stores.
#pragma once

#include "core/data/windows.h"
#include "core/passes/compile.h"
#include "core/runtime/session.h"
#include "core/step/step_spec.h"

namespace tandem {

class LayersBelow {
 public:
  // spec: a step from the cut on (replayed in core/run/settings.h). target: the backend's, within what may be taken;
  // weights are streamed from the host where they do not fit. Exit::does_not_fit; Exit::configuration: a window that
  // the recipe cannot take alone.
  LayersBelow(Backend& backend, const Target& target, const StepSpec& spec);

  Session& session() { return session_; }  // to write parameters, by load_parameters or initialise_parameters

  struct Streams {
    uint64_t windows = 0;
    std::span<const std::byte> codes, scales;  // (windows, T, ...); until the next run
  };
  // Streams of the windows first ... last - 1; where not all of these run together, of the first ones.
  Streams run(const Windows& windows, uint64_t first, uint64_t last);

 private:
  StepShape shape_;  // micro_batch: the windows that run together
  Session session_;
  std::vector<int32_t> tokens_, positions_;
  std::vector<std::byte> codes_, scales_;
};

}  // namespace tandem
