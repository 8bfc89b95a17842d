// A backend that hands everything to another one; a test overrides what it watches or changes.
#pragma once

#include "core/runtime/backend.h"

namespace tandem::test {

class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}
  const Target& target() const override { return inner_->target(); }
  std::unique_ptr<Memory> allocate(const Arena& arena) override { return inner_->allocate(arena); }
  void write(Memory& memory, uint64_t offset, std::span<const std::byte> bytes) override {
    inner_->write(memory, offset, bytes);
  }
  void read(const Memory& memory, uint64_t offset, std::span<std::byte> bytes) override {
    inner_->read(memory, offset, bytes);
  }
  std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) override {
    return inner_->load(program, memories);
  }
  void read_budget() override { inner_->read_budget(); }

 protected:
  std::unique_ptr<Backend> inner_;
};

}  // namespace tandem::test
