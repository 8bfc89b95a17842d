#include "backends/cuda/kernel_choices.h"

#include <charconv>

#include "core/base/cache_file.h"
#include "core/base/json.h"

namespace tandem::cuda {
namespace {

constexpr size_t kWords = sizeof(cublasLtMatmulAlgo_t) / sizeof(uint64_t), kDigits = 16;

std::string text_of(const cublasLtMatmulAlgo_t& algorithm) {
  std::string text;
  for (uint64_t word : algorithm.data) text += fmt::format("{:016x}", word);
  return text;
}

std::optional<cublasLtMatmulAlgo_t> algorithm_of(const std::string& text) {
  if (text.size() != kWords * kDigits) return {};
  cublasLtMatmulAlgo_t algorithm{};
  for (size_t i = 0; i < kWords; ++i) {
    const char *first = text.data() + i * kDigits, *last = first + kDigits;
    const auto [end, error] = std::from_chars(first, last, algorithm.data[i], 16);
    if (error != std::errc() || end != last) return {};
  }
  return algorithm;
}

// what cannot be read is chosen anew
KernelChoices parse(std::span<const std::byte> data, const std::string& name) {
  KernelChoices choices;
  if (data.empty()) return choices;
  try {
    const Json json = parse_json({reinterpret_cast<const char*>(data.data()), data.size()}, name);
    for (const auto& item : json.items())
      if (item.value().is_string()) choices[item.key()] = item.value().get<std::string>();
  } catch (const Error&) {
    choices.clear();
  }
  return choices;
}

}  // namespace

AlgorithmTable::AlgorithmTable(std::string file)
    : file_(std::move(file)), choices_(parse(read_cache_file(file_), file_)) {}

std::optional<cublasLtMatmulAlgo_t> AlgorithmTable::find(const std::string& gemm) const {
  const auto found = choices_.find(gemm);
  return found == choices_.end() ? std::nullopt : algorithm_of(found->second);
}

void AlgorithmTable::add(const std::string& gemm, const cublasLtMatmulAlgo_t& algorithm) {
  choices_[gemm] = text_of(algorithm);
  changed_ = true;
}

void AlgorithmTable::use(const KernelChoices& choices) {
  for (const auto& [gemm, text] : choices) choices_[gemm] = text;
}

void AlgorithmTable::save() {
  if (!changed_) return;
  const std::string text = Json(choices_).dump();
  write_cache_file(file_, std::as_bytes(std::span(text)));
  changed_ = false;
}

}  // namespace tandem::cuda
