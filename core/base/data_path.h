// Where the files that ship with the program stand: in a checkout, or in an installation.
#pragma once

#include <string>
#include <vector>

namespace tandem {

struct DataPlaces {
  std::string current;                  // The directory that relative paths start at.
  std::string executable;               // This program's file; empty where the system does not say.
  std::string data;                     // The data directory that the build was configured for.
  std::string build_root, source_root;  // Programs of the build folder alone look in its source.
};
DataPlaces data_places();  // Those of this process.

// Where a kind of data ("devices") may stand, in the order of preference: configs/KIND of the current directory,
// share/tandem/KIND of the prefix that the executable is installed under, the configured data directory, the source.
std::vector<std::string> data_directories(const std::string& kind, const DataPlaces& places = data_places());

}  // namespace tandem
