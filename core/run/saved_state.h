// What a step reads from the step before: parameters, the optimizer's states and the count of updates, between a
// session and a checkpoint.
#pragma once

#include <memory>

#include "core/model/model_directory.h"
#include "core/model/model_source.h"
#include "core/optimizer/optimizer.h"
#include "core/run/checkpoint.h"
#include "core/step/state.h"

namespace tandem {

// Writes the session's state as a checkpoint of manifest.step; t is filled in. One parameter at a time is in host
// memory. specs: those that train. Of an adapter (manifest.adapter_config) a master stands for its parameter.
void save_state(const Session& session, World* world, const Optimizer& optimizer, std::span<const ParameterSpec> specs,
                const std::string& directory, Manifest manifest);

// Bytes of the tensors that save_state writes of a session with this Program, over all ranks.
uint64_t state_bytes(const Program& program, const Optimizer& optimizer, std::span<const ParameterSpec> specs);

// A state in the process's own memory: a checkpoint is written from it while the session goes on. The root's; the other
// ranks call save_state meanwhile.
class StateCopy {
 public:
  // Takes memory for state_bytes, which is kept for the next copy. False where the host has not as much free.
  bool reserve(uint64_t bytes);
  void take(const Session& session, World* world, const Optimizer& optimizer, std::span<const ParameterSpec> specs,
            Manifest manifest);
  void write(const std::string& directory) const;  // the same files as save_state's

 private:
  std::span<std::byte> room_;
  std::unique_ptr<std::byte[]> memory_;  // room_'s; nothing is written to it before it is used
  Manifest manifest_;
  std::vector<OutputTensor> model_, states_;
};

// The reverse, to the bit. Exit::input when the checkpoint is of another model or other precisions; nothing is written
// to the session then.
void restore_state(Session& session, const Optimizer& optimizer, std::span<const ParameterSpec> specs,
                   const Checkpoint& checkpoint);

// The session's parameters as a model directory, replacing one that is there.
void save_model(const Session& session, World* world, const ModelSource& model, const Precision& precision,
                const std::string& out);

// Its adapter as a PEFT directory, likewise; f32 where the parameters have a master. specs: adapter_specs.
void save_adapter(const Session& session, World* world, std::span<const ParameterSpec> specs,
                  const std::string& config_text, const std::string& out);

}  // namespace tandem
