#include "core/step/state.h"

namespace tandem {

std::span<const std::byte> read_stored(const Session& session, const std::string& binding, const StoredTensor& part,
                                       std::vector<std::byte>& buffer) {
  const DType dtype = session.desc(binding).dtype;
  buffer.resize(part.place_bytes(dtype));
  session.read(binding, buffer, part.first_byte(dtype));
  unpad(part, dtype, buffer);
  return buffer;
}

void write_stored(Session& session, const std::string& binding, const StoredTensor& part,
                  std::span<const std::byte> bytes, std::vector<std::byte>& buffer) {
  const DType dtype = session.desc(binding).dtype;
  session.write(binding, pad(part, dtype, bytes, buffer), part.first_byte(dtype));
}

}  // namespace tandem
