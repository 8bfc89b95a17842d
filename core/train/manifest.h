// manifest.json of a checkpoint as text: canonical, with a hash of itself, so that no bit of it can change unseen.
#pragma once

#include "core/train/checkpoint.h"

namespace tandem {

std::string manifest_text(const Manifest& manifest);
// path: for messages. Exit::input.
Manifest parse_manifest(const std::string& text, const std::string& path);

}  // namespace tandem
