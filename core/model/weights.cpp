#include "core/model/weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "core/base/parallel.h"

namespace tandem {
namespace {

constexpr std::string_view kEmbedding = "model.embed_tokens.weight", kHead = "lm_head.weight";

class SpecList {
 public:
  explicit SpecList(const ModelConfig& config) : c_(config) {}

  std::vector<ParameterSpec> make() && {
    add("embedding.weight", ParameterKind::matrix, {{std::string(kEmbedding), {c_.vocabulary, c_.hidden}}});
    for (layer_ = 0; layer_ < c_.layers; ++layer_) add_layer(layer_);
    layer_ = UINT32_MAX;
    add("norm.weight", ParameterKind::norm, {{"model.norm.weight", {c_.hidden}}});
    if (!c_.tied) add("lm_head.weight", ParameterKind::matrix, {{std::string(kHead), {c_.vocabulary, c_.hidden}}});
    number();
    return std::move(specs_);
  }

 private:
  void add(std::string name, ParameterKind kind, std::vector<StoredTensor> parts) {
    uint64_t rows = 0;
    for (StoredTensor& part : parts) {
      part.first_row = rows;
      rows += part.shape[0];
    }
    const Shape shape = parts[0].shape.with_first(rows);
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
    add(ours + "gate_up.weight", ParameterKind::matrix,
        {{mlp("gate_proj.weight"), {c_.ffn, h}}, {mlp("up_proj.weight"), {c_.ffn, h}}});
    add(ours + "down.weight", ParameterKind::matrix, {{mlp("down_proj.weight"), {h, c_.ffn}}});
  }

  void number() {
    std::map<std::string_view, StoredTensor*> sorted;
    for (ParameterSpec& spec : specs_)
      for (StoredTensor& part : spec.parts) sorted.emplace(part.name, &part);
    uint32_t next = 0;
    for (const auto& [name, part] : sorted) part->number = next++;
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

// one processor would take the pages of a mapped file one fault after another
void read_in_parallel(const ModelFiles& files, const StoredTensor& part, DType dtype, std::span<std::byte> out) {
  constexpr uint64_t kGrain = 1 << 20;
  parallel_for(part.shape.count(), kGrain, [&](uint64_t first, uint64_t last) {
    files.read(part.name, dtype, out.subspan(first * size_of(dtype), (last - first) * size_of(dtype)), first);
  });
}

}  // namespace

std::vector<ParameterSpec> parameter_specs(const ModelConfig& config) {
  return SpecList(config).make();
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

void load_parameters(const ModelFiles& files, std::span<const ParameterSpec> specs, DType dtype,
                     const ParameterSink& sink) {
  check_parameters(files, specs);
  std::vector<std::byte> data;
  for (const ParameterSpec& spec : specs) {
    data.resize(TensorDesc{dtype, spec.shape}.bytes());
    size_t at = 0;
    for (const StoredTensor& part : spec.parts) {
      const auto out = std::span(data).subspan(at, TensorDesc{dtype, part.shape}.bytes());
      read_in_parallel(files, part, dtype, out);
      at += out.size();
    }
    sink(spec, data);
  }
}

}  // namespace tandem
