#include "core/model/weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "core/base/parallel.h"
#include "core/ops/segments.h"

namespace tandem {
namespace {

constexpr std::string_view kEmbedding = "model.embed_tokens.weight", kHead = "lm_head.weight";

class SpecList {
 public:
  explicit SpecList(const ModelConfig& config) : c_(config) {}

  std::vector<ParameterSpec> make() && {
    add("embedding.weight", ParameterKind::matrix, {{std::string(kEmbedding), {c_.vocabulary, c_.hidden}}});
    for (layer_ = 0; layer_ < c_.first_layer + c_.layers; ++layer_) add_layer(layer_);
    layer_ = UINT32_MAX;
    add("norm.weight", ParameterKind::norm, {{"model.norm.weight", {c_.hidden}}});
    if (!c_.tied) add("lm_head.weight", ParameterKind::matrix, {{std::string(kHead), {c_.vocabulary, c_.hidden}}});
    number_tensors(specs_, 0);
    return std::move(specs_);
  }

 private:
  void add(std::string name, ParameterKind kind, std::vector<StoredTensor> parts) {
    uint64_t rows = 0;
    for (StoredTensor& part : parts) {
      if (part.place.rank() == 0) part.place = part.shape;
      part.first = part.place.with_first(rows).count();
      rows += part.place[0];
    }
    const Shape shape = parts[0].place.with_first(rows);
    specs_.push_back({std::move(name), kind, shape, std::move(parts), layer_});
  }

  void add_layer(uint32_t layer) {
    const std::string ours = fmt::format("layers.{}.", layer), theirs = fmt::format("model.layers.{}.", layer);
    const uint64_t h = c_.hidden, q = uint64_t{c_.q_heads} * c_.head_dim, kv = uint64_t{c_.kv_heads} * c_.head_dim;
    const auto at = [&](std::string_view name) { return fmt::format("{}self_attn.{}", theirs, name); };
    const auto mlp = [&](std::string_view name) { return fmt::format("{}mlp.{}", theirs, name); };

    add(ours + "input_norm.weight", ParameterKind::norm, {{theirs + "input_layernorm.weight", {h}}});
    add(ours + "qkv.weight", ParameterKind::matrix,
        {{at("q_proj.weight"), {q, h}}, {at("k_proj.weight"), {kv, h}}, {at("v_proj.weight"), {kv, h}}});
    if (c_.qkv_bias)
      add(ours + "qkv.bias", ParameterKind::bias,
          {{at("q_proj.bias"), {q}}, {at("k_proj.bias"), {kv}}, {at("v_proj.bias"), {kv}}});
    if (c_.head_norms()) {
      add(ours + "q_norm.weight", ParameterKind::norm, {{at("q_norm.weight"), {c_.head_dim}}});
      add(ours + "k_norm.weight", ParameterKind::norm, {{at("k_norm.weight"), {c_.head_dim}}});
    }
    add(ours + "o.weight", ParameterKind::matrix, {{at("o_proj.weight"), {h, q}}});
    if (c_.o_bias) add(ours + "o.bias", ParameterKind::bias, {{at("o_proj.bias"), {h}}});
    add(ours + "post_norm.weight", ParameterKind::norm, {{theirs + "post_attention_layernorm.weight", {h}}});
    const uint64_t f = c_.ffn, padded = c_.padded_ffn();
    add(ours + "gate_up.weight", ParameterKind::matrix,
        {{mlp("gate_proj.weight"), {f, h}, {padded, h}}, {mlp("up_proj.weight"), {f, h}, {padded, h}}});
    add(ours + "down.weight", ParameterKind::matrix, {{mlp("down_proj.weight"), {h, f}, {h, padded}}});
  }

  const ModelConfig& c_;
  std::vector<ParameterSpec> specs_;
  uint32_t layer_ = UINT32_MAX;
};

// a stored LM head beside a tied embedding: the same values, compared in pieces
void check_tied_head(const ModelFiles& files) {
  const std::string embedding(kEmbedding), head(kHead);
  if (files.info(head).shape != files.info(embedding).shape)
    fail(Exit::input, files.file(head).path(), "{} {} has not the shape {} of the embedding it is tied to", kHead,
         files.info(head).shape, files.info(embedding).shape);
  constexpr uint64_t kPiece = 1 << 16;
  std::vector<float> a(kPiece), b(kPiece);
  const uint64_t count = files.info(head).shape.count();
  for (uint64_t first = 0; first < count; first += kPiece) {
    const uint64_t n = std::min(kPiece, count - first);
    files.read(embedding, DType::f32, std::as_writable_bytes(std::span(a).first(n)), first);
    files.read(head, DType::f32, std::as_writable_bytes(std::span(b).first(n)), first);
    if (std::memcmp(a.data(), b.data(), n * sizeof(float)) != 0)
      fail(Exit::input, files.file(head).path(),
           "{} differs from the embedding, but tie_word_embeddings is true; set "
           "it to false in config.json or remove the tensor",
           kHead);
  }
}

// Elements of whole rows of a parameter that one thread makes at a time.
constexpr uint64_t kGrain = 1 << 18;

// Elements per row: 1 of a vector.
uint64_t row_size(const Shape& shape) {
  return shape.count() / shape[0];
}

// One row, or consecutive rows where none is padded to the side.
void fill_some(const StoredTensor& part, uint64_t row, uint64_t rows, DType dtype, std::byte* out,
               const ElementSource& fill) {
  const uint64_t columns = row_size(part.shape), place = row_size(part.place), size = size_of(dtype);
  const uint64_t stored = row < part.shape[0] ? std::min(rows, part.shape[0] - row) : 0;
  if (columns == place) {
    if (stored > 0) fill(part, row * columns, {out, stored * columns * size});
  } else {
    for (uint64_t r = 0; r < stored; ++r) {
      std::byte* const at = out + r * place * size;
      fill(part, (row + r) * columns, {at, columns * size});
      std::fill_n(at + columns * size, (place - columns) * size, std::byte{});
    }
  }
  std::fill_n(out + stored * place * size, (rows - stored) * place * size, std::byte{});
}

// visit(the row's first byte in the file's tensor, in the place, its bytes)
template <typename Visit>
void each_row(const StoredTensor& part, DType dtype, const Visit& visit) {
  const uint64_t columns = part.shape.back(), bytes = columns * size_of(dtype);
  for (uint64_t row = 0; row < part.shape.rows(); ++row)
    visit(row * bytes, part.position(row * columns) * size_of(dtype), bytes);
}

}  // namespace

std::span<const std::byte> pad(const StoredTensor& part, DType dtype, std::span<const std::byte> stored,
                               std::vector<std::byte>& buffer) {
  if (!part.padded()) return stored;
  buffer.assign(part.place_bytes(dtype), std::byte{});
  each_row(part, dtype, [&](uint64_t at, uint64_t place, uint64_t bytes) {
    std::memcpy(buffer.data() + place, stored.data() + at, bytes);
  });
  return buffer;
}

void unpad(const StoredTensor& part, DType dtype, std::vector<std::byte>& bytes) {
  if (!part.padded()) return;
  each_row(part, dtype, [&](uint64_t at, uint64_t place, uint64_t count) {
    std::memmove(bytes.data() + at, bytes.data() + place, count);
  });
  bytes.resize(part.shape.count() * size_of(dtype));
}

StoredTensor part_of_state(const ParameterSpec& spec, const StoredTensor& part, const TensorDesc& state) {
  const uint64_t columns = state.shape.back();
  if (spec.shape.rank() == 1 || columns == spec.shape.back()) return part;
  StoredTensor own = part;
  own.shape = {part.shape[0], columns};
  own.place = {part.place[0], columns};
  own.first = part.first / spec.shape.back() * columns;
  return own;
}

abi::Segments segments_of(const ParameterSpec& spec) {
  abi::Segments s{.count = uint32_t(spec.parts.size())};
  for (size_t i = 0; i < spec.parts.size(); ++i) {
    s.begin[i] = ops::block_at(spec.name, spec.parts[i].first);
    s.tensor[i] = spec.parts[i].number;
  }
  return s;
}

void number_tensors(std::span<ParameterSpec> specs, uint32_t next) {
  std::map<std::string_view, StoredTensor*> sorted;
  for (ParameterSpec& spec : specs)
    for (StoredTensor& part : spec.parts) sorted.emplace(part.name, &part);
  for (const auto& [name, part] : sorted) part->number = next++;
}

std::vector<ParameterSpec> parameter_specs(const ModelConfig& config) {
  std::vector<ParameterSpec> specs = SpecList(config).make();
  const bool embeds = config.first_layer == 0 || config.tied;
  std::erase_if(specs, [&](const ParameterSpec& spec) {
    if (spec.layer != UINT32_MAX) return spec.layer < config.first_layer;
    return spec.name == "embedding.weight" ? !embeds : config.headless;
  });
  for (ParameterSpec& spec : specs)
    if (spec.layer != UINT32_MAX) spec.layer -= config.first_layer;
  return specs;
}

void check_parameters(const ModelFiles& files, std::span<const ParameterSpec> specs) {
  std::set<std::string_view> expected;
  for (const ParameterSpec& spec : specs)
    for (const StoredTensor& part : spec.parts) {
      expected.insert(part.name);
      const StoredInfo& stored = files.info(part.name);
      if (stored.shape != part.shape)
        fail(Exit::input, files.file(part.name).path(), "tensor {} has shape {}, config.json makes it {}", part.name,
             stored.shape, part.shape);
      files.read(part.name, DType::f32, {});  // a dtype that is not read
    }
  const bool tied = !expected.count(kHead);
  for (const std::string& name : files.names()) {
    if (expected.count(name) || name.ends_with(".rotary_emb.inv_freq")) continue;
    if (!tied || name != kHead)
      fail(Exit::input, files.file(name).path(), "tensor {:.200} belongs to no parameter of this config.json", name);
    check_tied_head(files);
  }
}

void fill_rows(const ParameterSpec& spec, uint64_t first, DType dtype, std::span<std::byte> out,
               const ElementSource& fill) {
  const uint64_t row_bytes = row_size(spec.shape) * size_of(dtype), count = out.size() / row_bytes;
  parallel_for(count, kGrain / row_size(spec.shape) + 1, [&](uint64_t begin, uint64_t end) {
    for (const StoredTensor& part : spec.parts) {
      const uint64_t part_first = part.first / row_size(spec.shape);
      const uint64_t from = std::max(first + begin, part_first), to = std::min(first + end, part_first + part.place[0]);
      if (from < to)
        fill_some(part, from - part_first, to - from, dtype, out.data() + (from - first) * row_bytes, fill);
    }
  });
}

// One processor would take the pages of a mapped file one fault after another.
void load_rows(const ModelFiles& files, const ParameterSpec& spec, uint64_t first, DType dtype,
               std::span<std::byte> out) {
  fill_rows(spec, first, dtype, out, [&](const StoredTensor& part, uint64_t element, std::span<std::byte> place) {
    files.read(part.name, dtype, place, element);
  });
}

}  // namespace tandem
