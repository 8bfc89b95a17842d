#include "core/step/state.h"

#include <algorithm>

namespace tandem {
namespace {

// Consecutive bytes of a whole tensor, and where a rank has them in its binding.
struct Bytes {
  uint64_t in_whole = 0, in_binding = 0, count = 0;
};

// Those of bytes [first, first + count) of the whole that lie in a rank's own rows; all of what is not shared.
Bytes own_part(const Binding& binding, uint32_t rank, uint64_t first, uint64_t count) {
  const Rows& rows = binding.rows;
  if (!rows.shared()) return {first, first, count};
  const uint64_t row_bytes = binding.desc.bytes() / binding.desc.shape[0];
  const uint64_t begin = std::max(first, rows.first(rank) * row_bytes);
  const uint64_t end = std::min(first + count, rows.first(rank + 1) * row_bytes);
  if (end <= begin) return {};
  return {begin, begin - rows.before(rank) * row_bytes, end - begin};
}

void write_part(Session& session, const std::string& name, uint64_t first, std::span<const std::byte> bytes) {
  const Program& program = session.program();
  const Bytes own = own_part(program.binding(name), program.rank, first, bytes.size());
  if (own.count > 0) session.write(name, bytes.subspan(own.in_whole - first, own.count), own.in_binding);
}

// Every rank sends as many bytes, so that one message serves all.
void gather(const Session& session, World& world, const Binding& binding, uint64_t first, std::span<std::byte> bytes) {
  const uint32_t ranks = world.seat().ranks, rank = world.seat().rank;
  uint64_t most = 0;
  for (uint32_t r = 0; r < ranks; ++r) most = std::max(most, own_part(binding, r, first, bytes.size()).count);
  std::vector<std::byte> mine(most), all(rank == 0 ? ranks * most : 0);
  const Bytes own = own_part(binding, rank, first, bytes.size());
  if (own.count > 0) session.read(binding.name, std::span(mine).first(own.count), own.in_binding);
  world.gather(mine, all, 0, binding.name);
  if (rank != 0) return;
  for (uint32_t r = 0; r < ranks; ++r) {
    const Bytes part = own_part(binding, r, first, bytes.size());
    std::copy_n(all.begin() + ptrdiff_t(r * most), part.count, bytes.begin() + ptrdiff_t(part.in_whole - first));
  }
}

// All of a part's place, padding too.
void read_place(const Session& session, World* world, const Binding& binding, const StoredTensor& part,
                std::span<std::byte> bytes) {
  const uint64_t first = part.first_byte(binding.desc.dtype);
  if (binding.rows.shared()) gather(session, *world, binding, first, bytes);
  else session.read(binding.name, bytes, first);
}

}  // namespace

std::span<const std::byte> read_stored(const Session& session, World* world, const std::string& name,
                                       const StoredTensor& part, std::vector<std::byte>& buffer) {
  const Binding& binding = session.program().binding(name);
  buffer.resize(part.place_bytes(binding.desc.dtype));
  read_place(session, world, binding, part, buffer);
  unpad(part, binding.desc.dtype, buffer);
  return buffer;
}

void copy_stored(const Session& session, World* world, const std::string& name, const StoredTensor& part,
                 std::span<std::byte> to) {
  if (!part.padded()) return read_place(session, world, session.program().binding(name), part, to);
  std::vector<std::byte> buffer;
  const std::span<const std::byte> stored = read_stored(session, world, name, part, buffer);
  std::copy(stored.begin(), stored.end(), to.begin());
}

void write_stored(Session& session, const std::string& name, const StoredTensor& part, std::span<const std::byte> bytes,
                  std::vector<std::byte>& buffer) {
  const DType dtype = session.desc(name).dtype;
  write_part(session, name, part.first_byte(dtype), pad(part, dtype, bytes, buffer));
}

}  // namespace tandem
