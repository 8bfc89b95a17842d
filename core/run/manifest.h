// manifest.json of a checkpoint as text: canonical, with a hash of itself, so that no bit of it can change unseen.
#pragma once

#include "core/base/json.h"
#include "core/run/checkpoint.h"

namespace tandem {

Json json_of(const WorldRecord& world);
std::string sealed(Json json);  // its text, with its hash under manifest_xxh3
std::string manifest_text(const Manifest& manifest);
// path: for messages. Exit::input.
Manifest parse_manifest(const std::string& text, const std::string& path);

}  // namespace tandem
