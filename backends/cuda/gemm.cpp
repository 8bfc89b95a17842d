#include "backends/cuda/gemm.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "backends/cuda/noise.h"

namespace tandem::cuda {
namespace {

enum : size_t { kA, kB, kBias, kScaleA, kScaleB, kC };  // operands, see core/abi/gemm.h

cudaDataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return CUDA_R_32F;
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::e4m3:
      return CUDA_R_8F_E4M3;
    default:
      fail(Exit::internal, "cuda", "a gemm of {}", name_of(dtype));
  }
}

template <typename T>
void set(const OwnedMatmul& matmul, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(cublasLtMatmulDescSetAttribute(matmul.get(), attribute, &value, sizeof(value)),
        "cublasLtMatmulDescSetAttribute");
}

// rows (of `contiguous` elements each, `stride` apart) as the column-major matrix that they are to the library
OwnedLayout layout(DType dtype, uint32_t contiguous, uint32_t rows, uint32_t stride) {
  cublasLtMatrixLayout_t made = nullptr;
  check(cublasLtMatrixLayoutCreate(&made, data_type(dtype), contiguous, rows, stride), "cublasLtMatrixLayoutCreate");
  return OwnedLayout(made);
}

// all that an algorithm depends on, but the device and the library, which name the table
std::string name_of_gemm(const abi::Gemm& p, const kernels::Call& call) {
  constexpr std::string_view kForms[] = {"nt", "nn", "tn"};
  return fmt::format("{} {}x{}x{} ld {} {} {} {}->{}{}{}{}", kForms[p.form], p.m, p.n, p.k, p.lda, p.ldb, p.ldc,
                     name_of(call.dtype(kA)), name_of(call.dtype(kC)),
                     p.has_bias == abi::kGemmMatrix ? " matrix"
                     : p.has_bias                   ? " bias"
                                                    : "",
                     p.accumulate ? " accumulate" : "", p.fast_accumulation ? " fast" : "");
}

constexpr size_t kWords = sizeof(cublasLtMatmulAlgo_t) / sizeof(uint64_t), kDigits = 16;

// An algorithm's words in hexadecimal.
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

}  // namespace

// The library's algorithms for one plan, with the operands that it will have.
class GemmProposals : public KernelProposals {
 public:
  GemmProposals(Device& device, const GemmPlan& plan, const kernels::Call& call)
      : device_(device), plan_(plan), call_(call) {}

  std::vector<std::string> all() override {
    std::vector<std::string> texts;
    for (const cublasLtMatmulAlgo_t& algorithm : plan_.candidates(device_)) texts.push_back(text_of(algorithm));
    return texts;
  }
  bool accepts(const std::string& kernel) override {
    const auto algorithm = algorithm_of(kernel);
    return algorithm && plan_.supports(device_, *algorithm);
  }
  // As long runs of the product make them, on values like a step's: at its power limit a device is up to a quarter
  // slower than in a first short run, and others are the fastest.
  std::optional<double> seconds(const std::string& kernel) override {
    if (!std::exchange(filled_, true)) fill();
    const auto [known, first] = runs_.try_emplace(kernel, 1);
    const std::optional<double> seconds = time(algorithm_of(kernel).value(), known->second);
    if (first && seconds) known->second = int(std::clamp(kLongRun / *seconds, 1.0, kMostRuns));
    return seconds;
  }

 private:
  static constexpr double kLongRun = 3e-3;  // seconds
  static constexpr double kMostRuns = 20;   // shorter products do not lower the clock

  void fill() {
    const auto& p = call_.as<abi::Gemm>();
    const auto fill = [&](size_t operand, uint64_t rows, uint64_t columns, uint64_t stride) {
      const DType dtype = call_.dtype(operand);
      fill_with_noise(device_, call_.operands[operand].data, ((rows - 1) * stride + columns) * size_of(dtype), dtype,
                      device_.stream());
    };
    if (p.form == abi::kGemmTn) fill(kA, p.k, p.m, p.lda);
    else fill(kA, p.m, p.k, p.lda);
    if (p.form == abi::kGemmNt) fill(kB, p.n, p.k, p.ldb);
    else fill(kB, p.k, p.n, p.ldb);
  }

  // Seconds per run; nullopt where the library refuses.
  std::optional<double> time(const cublasLtMatmulAlgo_t& algorithm, int runs) {
    const cudaStream_t stream = device_.stream();
    device_.record(start_, stream);
    for (int i = 0; i < runs; ++i)
      if (plan_.try_run(device_, call_, algorithm, stream) != CUBLAS_STATUS_SUCCESS) return {};
    device_.record(end_, stream);
    device_.wait(end_.get());
    return device_.seconds_between(start_, end_) / runs;
  }

  Device& device_;
  const GemmPlan& plan_;
  const kernels::Call& call_;
  OwnedEvent start_ = make_event(true), end_ = make_event(true);
  std::map<std::string, int> runs_;  // by algorithm, of a time
  bool filled_ = false;
};

// Row-major C = A B is column-major C^T = B^T A^T: the library's first matrix is the op's b. Its sums are f32 (no
// TF32); an e4m3 operand's scale stays on the device. Where the library can see that it adds to C in place
// with beta = 1, it rounds A B to bf16 before it adds: a beta on the device keeps it from that, where rows are aligned.
// The same algorithm writes onto zeros, by a beta of 0.
GemmPlan::GemmPlan(const Device& device, const abi::Gemm& p, const kernels::Call& call) {
  cublasLtMatmulDesc_t matmul = nullptr;
  check(cublasLtMatmulDescCreate(&matmul, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  matmul_ = OwnedMatmul(matmul);
  if (p.has_bias == abi::kGemmMatrix) own_ = {p.alpha, p.beta};
  factors_ = p.accumulate == 1                     ? device.ones()
             : p.accumulate == abi::kGemmOntoZeros ? device.one_and_zero()
                                                   : own_.data();
  if (p.accumulate) set(matmul_, CUBLASLT_MATMUL_DESC_POINTER_MODE, CUBLASLT_POINTER_MODE_DEVICE);
  const bool tn = p.form == abi::kGemmTn, nt = p.form == abi::kGemmNt;
  set(matmul_, CUBLASLT_MATMUL_DESC_TRANSA, nt ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(matmul_, CUBLASLT_MATMUL_DESC_TRANSB, tn ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (p.has_bias == 1) {
    set(matmul_, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(matmul_, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, data_type(call.dtype(kC)));
    set(matmul_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, call.operands[kBias].data);
  }
  if (p.fast_accumulation) set(matmul_, CUBLASLT_MATMUL_DESC_FAST_ACCUM, int8_t{1});
  if (p.has_scales) {
    set(matmul_, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, call.operands[kScaleB].data);
    set(matmul_, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, call.operands[kScaleA].data);
  }
  a_ = nt ? layout(call.dtype(kB), p.k, p.n, p.ldb) : layout(call.dtype(kB), p.n, p.k, p.ldb);
  b_ = tn ? layout(call.dtype(kA), p.m, p.k, p.lda) : layout(call.dtype(kA), p.k, p.m, p.lda);
  c_ = layout(call.dtype(kC), p.n, p.m, p.ldc);
}

std::unique_ptr<GemmPlan> GemmPlan::make(Device& device, KernelTable& choices, const kernels::Call& call) {
  const auto& p = call.as<abi::Gemm>();
  const bool adds = p.accumulate || p.has_bias == abi::kGemmMatrix;
  if (adds && call.dtype(kC) == DType::bf16 && (p.lda | p.ldb | p.ldc | p.n) % 8 != 0) return nullptr;
  std::unique_ptr<GemmPlan> plan(new GemmPlan(device, p, call));
  GemmProposals proposals(device, *plan, call);
  const std::optional<std::string> chosen = choices.choose(name_of_gemm(p, call), proposals);
  if (!chosen) return nullptr;
  plan->algorithm_ = algorithm_of(*chosen).value();
  return plan;
}

bool GemmPlan::supports(Device& device, const cublasLtMatmulAlgo_t& algorithm) const {
  cublasLtMatmulHeuristicResult_t result{};
  return cublasLtMatmulAlgoCheck(device.blas(), matmul_.get(), a_.get(), b_.get(), c_.get(), c_.get(), &algorithm,
                                 &result) == CUBLAS_STATUS_SUCCESS &&
         result.workspaceSize <= kGemmWorkspace;
}

std::vector<cublasLtMatmulAlgo_t> GemmPlan::candidates(Device& device) const {
  cublasLtMatmulPreference_t made = nullptr;
  check(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  const OwnedPreference preference(made);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof(value)),
          "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, size_t(kGemmWorkspace));
  // split sums meet in f32 and are rounded once
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  constexpr int kMost = 16;
  cublasLtMatmulHeuristicResult_t found[kMost];
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      device.blas(), matmul_.get(), a_.get(), b_.get(), c_.get(), c_.get(), preference.get(), kMost, found, &count);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) return {};
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  for (int i = 0; i < count; ++i)
    if (found[i].state == CUBLAS_STATUS_SUCCESS) algorithms.push_back(found[i].algo);
  return algorithms;
}

cublasStatus_t GemmPlan::try_run(Device& device, const kernels::Call& call, const cublasLtMatmulAlgo_t& algorithm,
                                 cudaStream_t stream) const {
  void* c = call.operands[kC].data;
  const void* added = call.as<abi::Gemm>().has_bias == abi::kGemmMatrix ? call.operands[kBias].data : c;
  return cublasLtMatmul(device.blas(), matmul_.get(), factors_, call.operands[kB].data, a_.get(),
                        call.operands[kA].data, b_.get(), factors_ + 1, added, c_.get(), c, c_.get(), &algorithm,
                        call.workspace, kGemmWorkspace, stream);
}

void GemmPlan::run(Device& device, const kernels::Call& call, cudaStream_t stream) const {
  device.check_device(try_run(device, call, algorithm_, stream), "cublasLtMatmul");
}

void run_each_product(Device& device) {
  constexpr uint32_t kSize = 1024;  // As layers have: smaller ones are given kernels that no layer takes.
  constexpr uint64_t kBytes = uint64_t{kSize} * kSize * sizeof(float);
  device.make_current();
  void* made = nullptr;
  check(cudaMalloc(&made, 3 * kBytes + kGemmWorkspace), "cudaMalloc");
  const OwnedDeviceMemory memory(made);
  std::byte* const first = static_cast<std::byte*>(made);
  for (const DType dtype : {DType::f32, DType::bf16, DType::e4m3})
    for (const uint32_t form : {abi::kGemmNt, abi::kGemmNn, abi::kGemmTn}) {
      const bool fp8 = dtype == DType::e4m3;
      if (fp8 && (!device.has_fp8() || form != abi::kGemmNt)) continue;
      const abi::Gemm p{.m = kSize,
                        .n = kSize,
                        .k = kSize,
                        .lda = kSize,
                        .ldb = kSize,
                        .ldc = kSize,
                        .form = form,
                        .has_scales = fp8 ? 1u : 0u};
      const kernels::Operand scale =
          fp8 ? kernels::Operand{const_cast<float*>(device.ones()), DType::f32} : kernels::Operand{};
      const kernels::Operand operands[] = {
          {first, dtype}, {first + kBytes, dtype}, {}, scale, scale, {first + 2 * kBytes, fp8 ? DType::bf16 : dtype}};
      const kernels::Call call{&p, operands, first + 3 * kBytes};
      const GemmPlan plan(device, p, call);
      for (const cublasLtMatmulAlgo_t& algorithm : plan.candidates(device))
        if (plan.try_run(device, call, algorithm, device.stream()) == CUBLAS_STATUS_SUCCESS) break;
    }
  device.wait_all("the first products");
}

}  // namespace tandem::cuda
