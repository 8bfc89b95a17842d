// Generation: one token at a time over a KV cache, sampled on the host.
#pragma once

#include <functional>
#include <vector>

#include "core/model/model_source.h"
#include "core/run/settings.h"
#include "core/runtime/session.h"

namespace tandem {

struct Sampling {
  uint32_t max_tokens = 64;
  double temperature = 0;  // 0: the most likely token
  uint64_t seed = 1;
};

// Tokens in the KV cache for a prompt of so many tokens and max_tokens more: no more than the model's
// max_position_embeddings, but at least one after the prompt. Warns when that ends the text early.
uint32_t generation_capacity(const ModelConfig& config, uint64_t prompt, uint32_t max_tokens);

class Generator {
 public:
  // weights: open_weights(model); capacity: tokens that the KV cache holds, prompt included
  Generator(Backend& backend, const ModelSource& model, const ModelFiles& weights, const Precision& precision,
            uint32_t capacity, const std::optional<AdapterDirectory>& adapter = {});

  // The continuation, without the prompt. Stops after an end-of-sequence id of the model (kept), max_tokens, or a full
  // cache. emit, if any, is called with each token as it is chosen.
  std::vector<int32_t> run(const std::vector<int32_t>& prompt, const Sampling& sampling,
                           const std::function<void(int32_t)>& emit = {});

  // logits over the true vocabulary after the token at this position
  std::vector<float> logits(int32_t token, uint32_t position);

 private:
  ModelSource model_;
  uint32_t capacity_;
  std::unique_ptr<Session> session_;
};

}  // namespace tandem
