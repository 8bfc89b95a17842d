// libFuzzer: any text as a config file or as an override gives a configuration that reads back the same, or an Error.
#include "core/base/error.h"
#include "core/run/config.h"

namespace {

void check_reads_back(std::string_view text, const std::vector<std::string>& flags) {
  try {
    const std::string merged = config_text(tandem::parse_config(text, "fuzz.toml", flags));
    if (config_text(tandem::parse_config(merged, "merged.toml", {})) != merged) __builtin_trap();
  } catch (const tandem::Error& e) {
    if (e.exit() != tandem::Exit::configuration) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_reads_back(text, {});
  const std::vector<std::string> required = {"--model.path=m", "--data.train=a.bin", "--run.directory=r"};
  check_reads_back(text, required);
  std::vector<std::string> flags = required;
  flags.push_back("--" + text);
  check_reads_back("", flags);
  return 0;
}
