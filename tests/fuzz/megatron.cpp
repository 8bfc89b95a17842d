// libFuzzer: any bytes as a Megatron index, beside a file of some tokens, are read as documents
// that cover the tokens, or refused with Exit::input.
#include "core/data/token_layout.h"
#include "tests/fuzz/memory_file.h"

namespace {

// Tokens' file of so many bytes.
void check(const tandem::MappedFile& index, size_t bytes) {
  const std::vector<uint8_t> zeros(bytes);
  const tandem::MemoryFile memory(zeros.data(), zeros.size());
  const tandem::MappedFile tokens(memory.path());
  try {
    const tandem::TokenLayout layout = read_megatron(index, tokens);
    if (layout.size * layout.token_bytes != bytes) __builtin_trap();
    const tandem::Documents& d = layout.documents;
    if (d.known() != (layout.size > 0)) __builtin_trap();
    if (d.known() && (d.start(0) != 0 || d.start(d.count()) != layout.size)) __builtin_trap();
    for (uint64_t i = 0; i < d.count(); ++i)
      if (d.start(i) >= d.start(i + 1)) __builtin_trap();
  } catch (const tandem::Error& e) {
    if (e.exit() != tandem::Exit::input) __builtin_trap();
  }
}

}  // namespace

// The first byte is the size of the tokens' file; the index begins behind it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const tandem::MemoryFile memory(data + 1, size - 1);
  const tandem::MappedFile index(memory.path());
  if (!is_megatron_index(index)) return 0;
  check(index, data[0]);
  return 0;
}
