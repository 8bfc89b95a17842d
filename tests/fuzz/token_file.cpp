// libFuzzer: any bytes as a token file, of any format, are read whole or refused with an Error.
#include "core/data/token_file.h"

#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tandem::MemoryFile memory(data, size);
  for (const auto& [word, raw] : tandem::kRawFormats) {
    try {
      const tandem::TokenFile file(memory.path(), raw);
      uint64_t targets = 0;
      for (uint64_t i = 0; i < file.size(); ++i) {
        if (file.token(i) < 0) __builtin_trap();
        targets += i > 0 && file.valid_target(i);
      }
      if (targets != file.targets()) __builtin_trap();
      file.check_vocabulary(257);
    } catch (const tandem::Error&) {
    }
  }
  return 0;
}
