// Which cuBLASLt algorithm each GEMM takes: chosen once per shape, device and library version, and kept on disk.
#pragma once

#include <map>
#include <optional>

#include "backends/cuda/api.h"
#include "core/runtime/backend.h"

namespace tandem::cuda {

class AlgorithmTable {
 public:
  // file: of the cache directory
  explicit AlgorithmTable(std::string file);

  std::optional<cublasLtMatmulAlgo_t> find(const std::string& gemm) const;
  void add(const std::string& gemm, const cublasLtMatmulAlgo_t& algorithm);
  void save();  // when something was added

  void take(const std::string& gemm) { taken_[gemm] = choices_.at(gemm); }
  const KernelChoices& taken() const { return taken_; }
  // these go before what the file has
  void use(const KernelChoices& choices);

 private:
  std::string file_;
  KernelChoices choices_;  // gemm -> the algorithm's words in hexadecimal
  KernelChoices taken_;    // of choices_
  bool changed_ = false;
};

}  // namespace tandem::cuda
