// Compressed bytes, unpacked as they come. Each fails with Exit::configuration in a build without its library, and with
// Exit::input, naming the file and its byte offset, on what is cut or damaged.
#pragma once

#include "core/data/byte_source.h"

namespace tandem {

std::unique_ptr<ByteSource> unpack_gz(const std::string& path, std::unique_ptr<ByteSource> packed);
std::unique_ptr<ByteSource> unpack_zst(const std::string& path, std::unique_ptr<ByteSource> packed);

}  // namespace tandem
