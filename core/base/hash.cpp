#include "core/base/hash.h"

#define XXH_INLINE_ALL  // no library to link
#include <fmt/format.h>
#include <xxhash.h>

namespace tandem {

std::string xxh3(std::span<const std::byte> bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

struct Xxh3::State {
  XXH3_state_t value;
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) {
  XXH3_64bits_reset(&state_->value);
}

Xxh3::~Xxh3() = default;

void Xxh3::update(std::span<const std::byte> bytes) {
  XXH3_64bits_update(&state_->value, bytes.data(), bytes.size());
}

uint64_t Xxh3::digest() const {
  return XXH3_64bits_digest(&state_->value);
}

}  // namespace tandem
