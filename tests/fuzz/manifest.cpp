// libFuzzer: any bytes as a manifest.json, and as changes to a good one that carry the right hash, are read or refused
// with an Error; what is read is written alike.
#include "core/run/manifest.h"

namespace {

void check_reads_back(const std::string& text) {
  try {
    const std::string again = tandem::manifest_text(tandem::parse_manifest(text, "manifest.json"));
    if (tandem::manifest_text(tandem::parse_manifest(again, "manifest.json")) != again) __builtin_trap();
  } catch (const tandem::Error& e) {
    if (e.exit() != tandem::Exit::input) __builtin_trap();
  }
}

tandem::Json good() {
  tandem::Manifest m;
  m.step = 4, m.t = 4, m.config = "[model]\n", m.backend = "vulkan", m.device = "a device";
  m.inputs = {{"a.bin", 5, "0123456789abcdef"}};
  m.files = {{"model-00001-of-00001.safetensors", {9, "00", {{"a.weight", "11"}, {"b.weight", "22"}}}}};
  return tandem::parse_json(tandem::manifest_text(m), "manifest.json");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_reads_back(text);
  try {
    static const tandem::Json sound = good();
    tandem::Json changed = sound;
    changed.merge_patch(tandem::parse_json(text, "patch"));
    if (changed.is_object()) check_reads_back(tandem::sealed(changed));  // else a patch that replaces it all
  } catch (const tandem::Error&) {                                       // no JSON
  }
  return 0;
}
