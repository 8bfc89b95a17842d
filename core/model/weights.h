// The parameters of a model: which tensors a Hugging Face directory stores, how Tandem stacks them, and loading them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/abi/normal.h"
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

// matrix: the embedding and the LM head too; lora_a, lora_b: an adapter's (core/model/lora.h)
enum class ParameterKind : uint8_t { matrix, norm, bias, lora_a, lora_b };

struct ParameterSpec {
  std::string name;  // "embedding.weight", "layers.3.qkv.weight", "norm.weight"
  ParameterKind kind = ParameterKind::matrix;
  Shape shape;                      // (rows, columns) or (n)
  std::vector<StoredTensor> parts;  // their places are stacked over axis 0, in order
  uint32_t layer = UINT32_MAX;      // UINT32_MAX: embedding, final norm and LM head
  bool frozen = false;              // it has neither gradient nor state
};

// The same part of a state of the parameter, of which it has the rows, with columns of its own.
StoredTensor part_of_state(const ParameterSpec& spec, const StoredTensor& part, const TensorDesc& state);

// Where its stored tensors begin, for the random bits of what is rounded in it (docs/numerics.md).
abi::Segments segments_of(const ParameterSpec& spec);

// In the order of the forward pass: embedding; by layer input_norm, qkv (q, k, v rows), q_norm, k_norm, o, post_norm,
// gate_up (gate, up rows), down; norm; lm_head unless tied. Weights before biases. gate, up and down are padded to
// config.padded_ffn(): their zeros have no part in any sum and gradients of zero, so that they stay zeros. A model that
// is cut has names from the whole model, and layers that count from its own first one. The upper part has numbers from
// the whole model too. The lower part, which has no head and does not train, has numbers of its own.
std::vector<ParameterSpec> parameter_specs(const ModelConfig& config);

// Numbers the stored tensors from next on, in the bytewise order of their names.
void number_tensors(std::span<ParameterSpec> specs, uint32_t next);

// Exit::input, naming the tensor: missing, of another shape or a dtype that is not read, beyond the specs (but
// *.rotary_emb.inv_freq), or an lm_head of a tied model that is not its embedding.
void check_parameters(const ModelFiles& files, std::span<const ParameterSpec> specs);

// Rows of a parameter (elements of a vector), from the first one on and as many as out holds, as dtype (f32 or bf16).
// Made on all processors; padding is zeros.
using RowSource = std::function<void(const ParameterSpec&, uint64_t first, DType, std::span<std::byte> out)>;

// As a RowSource, from files that check_parameters has taken, rounded to nearest even.
void load_rows(const ModelFiles& files, const ParameterSpec& spec, uint64_t first, DType dtype,
               std::span<std::byte> out);

// As a RowSource, drawn from seed: matrices N(0, initializer_range), norms 1, biases 0. Values are rounded to f32, and
// from there to bf16, to nearest even. Element e of stored tensor n has the same bits in any rows.
void draw_rows(const ModelConfig& config, const ParameterSpec& spec, uint64_t seed, uint64_t first, DType dtype,
               std::span<std::byte> out);

// What draw_rows draws of a matrix: elements of a stored tensor.
abi::NormalDraw values_of_matrix(const ModelConfig& config, const StoredTensor& part, uint64_t seed, uint64_t first,
                                 uint64_t count);

// Calls fill(part, first, place) at the same time for consecutive elements of stored tensors that make up those rows;
// what is padding is zeroed.
using ElementSource = std::function<void(const StoredTensor& part, uint64_t first_element, std::span<std::byte> place)>;
void fill_rows(const ParameterSpec& spec, uint64_t first, DType dtype, std::span<std::byte> out,
               const ElementSource& fill);

}  // namespace tandem
