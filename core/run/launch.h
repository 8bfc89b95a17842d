// How launchers of processes tell a rank who it is: torchrun, mpirun, srun, or variables set by hand.
#pragma once

#include <cstdlib>
#include <functional>
#include <optional>
#include <string>

#include "core/runtime/world.h"

namespace tandem {

// The value of a variable, or null.
using Environment = std::function<const char*(const char* name)>;

// What the launch variables say (docs/distributed.md); nullopt: no launcher, so ranks are threads of this process.
// devices: distributed.devices, which the number of processes has to equal. run_directory: its name is that of the
// rendezvous file. identity: equal for all ranks of this run and no other. Exit::configuration for what does not fit.
std::optional<Launch> read_launch(uint32_t devices, const std::string& run_directory, std::string_view identity,
                                  const Environment& environment = ::getenv);

// The first name in a list as Slurm writes it: "node01" of "node[01-04,07],login".
std::string first_node(std::string_view list);

}  // namespace tandem
