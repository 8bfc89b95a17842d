// The parameters of a model: which tensors a Hugging Face directory stores, how Tandem stacks them, and loading them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/abi/segments.h"
#include "core/model/config.h"
#include "core/model/safetensors.h"

namespace tandem {

// A tensor as files hold it, and its place in its parameter.
struct StoredTensor {
  std::string name;
  Shape shape;          // (rows, columns) or (n)
  Shape place;          // what it takes there: more rows or columns than shape where it is padded with zeros
  uint64_t first = 0;   // element there where its place begins
  uint32_t number = 0;  // position in the bytewise sorted list of all stored names: names its random bits

  bool padded() const { return place != shape; }
  // where its element e lies in the place
  uint64_t position(uint64_t e) const {
    return place.back() == shape.back() ? e : e / shape.back() * place.back() + e % shape.back();
  }
  uint64_t first_byte(DType dtype) const { return first * size_of(dtype); }
  uint64_t place_bytes(DType dtype) const { return place.count() * size_of(dtype); }
};

// The bytes of a stored tensor as its place holds them: the same ones, or made in buffer where it is padded.
std::span<const std::byte> pad(const StoredTensor& part, DType dtype, std::span<const std::byte> stored,
                               std::vector<std::byte>& buffer);
// The reverse, where they are.
void unpad(const StoredTensor& part, DType dtype, std::vector<std::byte>& bytes);

enum class ParameterKind : uint8_t { matrix, norm, bias };  // matrix: the embedding and the LM head too

struct ParameterSpec {
  std::string name;  // "embedding.weight", "layers.3.qkv.weight", "norm.weight"
  ParameterKind kind = ParameterKind::matrix;
  Shape shape;                      // (rows, columns) or (n)
  std::vector<StoredTensor> parts;  // their places are stacked over axis 0, in order
  uint32_t layer = UINT32_MAX;      // UINT32_MAX: embedding, final norm and LM head
};

// Where its stored tensors begin, for the random bits of what is rounded in it (docs/numerics.md).
abi::Segments segments_of(const ParameterSpec& spec);

// In the order of the forward pass: embedding; by layer input_norm, qkv (q, k, v rows), q_norm, k_norm, o, post_norm,
// gate_up (gate, up rows), down; norm; lm_head unless tied. Weights before biases. gate, up and down are padded to
// config.padded_ffn(): their zeros have no part in any sum and gradients of zero, so that they stay zeros.
std::vector<ParameterSpec> parameter_specs(const ModelConfig& config);

// data: the whole parameter, as its spec's shape says; lasts until the call returns
using ParameterSink = std::function<void(const ParameterSpec& spec, std::span<const std::byte> data)>;

// Exit::input, naming the tensor: missing, of another shape or a dtype that is not read, beyond the specs (but
// *.rotary_emb.inv_freq), or an lm_head of a tied model that is not its embedding.
void check_parameters(const ModelFiles& files, std::span<const ParameterSpec> specs);

// Every parameter in order, as dtype (f32 or bf16); checked first, as by check_parameters.
void load_parameters(const ModelFiles& files, std::span<const ParameterSpec> specs, DType dtype,
                     const ParameterSink& sink);

// Every parameter in order, drawn from seed: matrices N(0, initializer_range), norms 1, biases 0. Values are rounded to
// f32, and from there to bf16, to nearest even.
void draw_parameters(const ModelConfig& config, std::span<const ParameterSpec> specs, uint64_t seed, DType dtype,
                     const ParameterSink& sink);

// The z with probability p below it; p in (0, 1), relative error under 1e-12 for p and 1 - p from 2^-34. Additions,
// multiplications, divisions and square roots of f64 alone, so that it is the same on every machine.
double inverse_normal(double p);

}  // namespace tandem
