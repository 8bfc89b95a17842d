// libFuzzer: any bytes behind the tokens of a sound header are read as mask and document starts that cover the file, or
// refused with Exit::input.
#include <cstring>

#include "core/data/token_file.h"
#include "tests/fuzz/memory_file.h"

// The first three bytes: tokens, mask flag, documents. The rest stands behind the tokens.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const uint32_t tokens = data[0], words[] = {2, 4, tokens, 300, uint32_t(data[1] & 1)}, documents = data[2];
  std::string file(1024 + 4 * tokens, '\0');
  std::memcpy(&file[0], "BIN.TOK\n", 8);
  std::memcpy(&file[8], words, sizeof words);
  std::memcpy(&file[32], "DOC.BEG\n", 8);
  std::memcpy(&file[40], &documents, sizeof documents);
  file.append(reinterpret_cast<const char*>(data + 3), size - 3);
  const tandem::MemoryFile memory(reinterpret_cast<const uint8_t*>(file.data()), file.size());
  try {
    const tandem::TokenFile opened(memory.path());
    const tandem::Documents& d = opened.documents();
    if (d.count() != documents || d.start(0) != 0 || d.start(d.count()) != tokens) __builtin_trap();
    for (uint64_t i = 0; i < d.count(); ++i)
      if (d.length(i) == 0 || d.length(i) > tokens || d.holding(d.start(i)) != i) __builtin_trap();
  } catch (const tandem::Error& e) {
    if (e.exit() != tandem::Exit::input) __builtin_trap();
  }
  return 0;
}
