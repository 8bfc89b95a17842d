// XXH3, 64 bits, as 16 hexadecimal digits: finds damage, not malice.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace tandem {

std::string xxh3(std::span<const std::byte> bytes);

}  // namespace tandem
