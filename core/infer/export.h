// `tandem export`: a checkpoint as a Hugging Face directory.
#pragma once

#include <string>

namespace tandem {

// Verifies the checkpoint whole, then writes out, beside and renamed. Exit::input for a damaged checkpoint or a model
// whose config.json has changed since; Exit::configuration when out is not empty.
void export_checkpoint(const std::string& path, const std::string& out);

}  // namespace tandem
