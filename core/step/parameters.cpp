#include "core/step/parameters.h"

#include <algorithm>
#include <future>
#include <map>

#include "core/step/frozen_codes.h"

namespace tandem {
namespace {

// Bytes made at a time: enough for all processors. Two such pieces are in host memory at once.
constexpr uint64_t kPieceBytes = 64 << 20;

// Some rows of a parameter, and where a binding has them.
struct Piece {
  const ParameterSpec* spec = nullptr;
  const Binding* binding = nullptr;
  uint64_t first = 0, rows = 0;  // in the whole parameter
  uint64_t offset = 0;           // bytes in the binding
};

// Those that this rank has, in pieces.
void append_pieces(const ParameterSpec& spec, const Binding& binding, uint32_t rank, std::vector<Piece>& pieces) {
  const Rows& shared = binding.rows;
  const uint64_t row_bytes = binding.desc.bytes() / binding.desc.shape[0];
  const uint64_t first = shared.shared() ? shared.first(rank) : 0;
  const uint64_t last = shared.shared() ? shared.first(rank + 1) : spec.shape[0];
  const uint64_t most = std::max<uint64_t>(1, kPieceBytes / row_bytes);
  for (uint64_t row = first; row < last; row += most)
    pieces.push_back({&spec, &binding, row, std::min(most, last - row), (row - shared.before(rank)) * row_bytes});
}

// A parameter's binding has its name; that of a state which begins as it has a suffix.
std::vector<Piece> pieces_of(const Program& program, std::span<const ParameterSpec> specs) {
  std::multimap<std::string, const Binding*> bindings;
  for (const Binding& b : program.bindings)
    bindings.emplace(b.initial == Initial::parameter ? b.name.substr(0, b.name.rfind('.')) : b.name, &b);
  std::vector<Piece> pieces;
  for (const ParameterSpec& spec : specs) {
    const auto [first, last] = bindings.equal_range(spec.name);
    for (auto i = first; i != last; ++i) append_pieces(spec, *i->second, program.rank, pieces);
  }
  return pieces;
}

// Frozen weights whose codes alone the session has, whole.
void write_frozen(Session& session, std::span<const ParameterSpec> specs, const RowSource& source) {
  std::vector<std::byte> weight;
  for (const ParameterSpec& spec : specs) {
    if (session.has(spec.name) || !session.has(spec.name + ".q")) continue;
    weight.resize(TensorDesc{DType::bf16, spec.shape}.bytes());
    source(spec, 0, DType::bf16, weight);
    write_codes(session, spec, weight);
  }
}

// Has the device draw a piece; false: it does not, or the piece is no plain matrix.
bool draw_on_device(Session& session, const ModelConfig& config, const Piece& piece, uint64_t seed) {
  const ParameterSpec& spec = *piece.spec;
  if (spec.kind != ParameterKind::matrix || std::ranges::any_of(spec.parts, &StoredTensor::padded)) return false;
  const Binding& binding = *piece.binding;
  const uint64_t columns = spec.shape.back(), begin = piece.first * columns, end = begin + piece.rows * columns;
  for (const StoredTensor& part : spec.parts) {
    const uint64_t from = std::max(begin, part.first), to = std::min(end, part.first + part.place.count());
    if (from >= to) continue;
    const abi::NormalDraw values = values_of_matrix(config, part, seed, from - part.first, to - from);
    if (!session.draw(binding.name, values, piece.offset + (from - begin) * size_of(binding.desc.dtype))) return false;
  }
  return true;
}

// A piece is made while the one before is written.
void write_pieces(Session& session, std::span<const Piece> pieces, const RowSource& source) {
  std::vector<std::byte> buffers[2];
  const auto make = [&](size_t i) {
    const Piece& p = pieces[i];
    const TensorDesc& desc = p.binding->desc;
    std::vector<std::byte>& buffer = buffers[i % 2];
    buffer.resize(p.rows * (desc.bytes() / desc.shape[0]));
    source(*p.spec, p.first, desc.dtype, buffer);
  };
  std::future<void> making;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i == 0) make(0);
    else making.get();
    if (i + 1 < pieces.size()) making = std::async(std::launch::async, make, i + 1);
    session.write(pieces[i].binding->name, buffers[i % 2], pieces[i].offset);
  }
}

void write_parameters(Session& session, std::span<const ParameterSpec> specs, const RowSource& source) {
  write_pieces(session, pieces_of(session.program(), specs), source);
  write_frozen(session, specs, source);
}

}  // namespace

void load_parameters(Session& session, const ModelSource& model, const ModelFiles& weights) {
  const std::vector<ParameterSpec> specs = parameter_specs(model.config);
  check_parameters(weights, specs);
  write_parameters(session, specs, [&](const auto&... rows) { load_rows(weights, rows...); });
}

void initialise_parameters(Session& session, const ModelSource& model, uint64_t seed) {
  const std::vector<ParameterSpec> specs = parameter_specs(model.config);
  const RowSource drawn = [&](const ParameterSpec& spec, uint64_t first, DType dtype, std::span<std::byte> out) {
    draw_rows(model.config, spec, seed, first, dtype, out);
  };
  std::vector<Piece> pieces = pieces_of(session.program(), specs);
  std::erase_if(pieces, [&](const Piece& piece) { return draw_on_device(session, model.config, piece, seed); });
  write_pieces(session, pieces, drawn);
  write_frozen(session, specs, drawn);
}

void load_adapter(Session& session, const AdapterDirectory& adapter, std::span<const ParameterSpec> specs) {
  write_parameters(session, specs, [&](const auto&... rows) { load_adapter_rows(adapter, rows...); });
}

void initialise_adapter(Session& session, std::span<const ParameterSpec> specs, uint64_t seed, bool b_as_a) {
  write_parameters(session, specs,
                   [&](const ParameterSpec& spec, uint64_t first, DType dtype, std::span<std::byte> out) {
                     draw_adapter_rows(spec, seed, b_as_a, first, dtype, out);
                   });
}

}  // namespace tandem
