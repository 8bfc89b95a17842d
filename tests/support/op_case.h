// The one case table of the ops: tests/ops/<op>.cpp registers a reference and cases, every executor present runs them.
#pragma once

#include <doctest/doctest.h>

#include "tests/support/compare.h"
#include "tests/support/cuda_host/backend.h"
#include "tests/support/evaluate.h"
#include "tests/support/executors.h"
#include "tests/support/fill.h"
#include "tests/support/host_backend.h"

namespace tandem::test {

// an input, or an operand overwritten in place, in the order that infer expects
struct Input {
  TensorDesc desc;
  Filler fill;
};
Input in(DType dtype, Shape shape, Filler fill = normal());
inline Input absent() {
  return {};
}
inline Input zero_amax() {
  return in(DType::u32, {64}, zeros());
}

// what random values cannot be: rstd, lse, ... computed from the other inputs, by their own references
using Prepare = std::function<void(Operands inputs)>;

struct Case {
  std::string name;
  Parameters parameters;
  std::vector<Input> inputs;
  Prepare prepare;

  Case& with(Prepare p) { return prepare = std::move(p), *this; }
};

class Cases {
 public:
  template <typename P>
  Case& add(std::string name, const P& parameters, std::vector<Input> inputs) {
    list_.push_back({std::move(name), Parameters(parameters), std::move(inputs), {}});
    return list_.back();
  }
  const std::vector<Case>& list() const { return list_; }

 private:
  std::vector<Case> list_;
};

constexpr DType kFloats[] = {DType::f32, DType::bf16};

// The operands after one run of the case, in the order of a Dispatch.
std::vector<Buffer> run_case(OpId op, const Case& c, Backend& backend);

// Builds one-dispatch Programs and runs them on the executor: twice, with poisoned outputs and guards, against the
// host's reference, by the op's budget. On cuda_host, each run has another order of threads. With
// TANDEM_CASE_HASHES=FILE, appends a line per case to it: executor, op, the hash of all operands' bytes, the case's name.
void run_cases(OpId op, void (*cases)(Cases&), std::string_view executor);

}  // namespace tandem::test

#define TANDEM_REFERENCE(op, parameters)                                                   \
  [[maybe_unused]] static const bool op##_registered = ::tandem::test::register_reference( \
      ::tandem::OpId::op,                                                                  \
      [](const ::tandem::Parameters& p, ::tandem::test::Operands o) { reference(p.as<parameters>(), o); });

#if defined(TANDEM_VULKAN)
#define TANDEM_VULKAN_CASE(op)                                      \
  TEST_CASE("op " #op " on vulkan") {                               \
    ::tandem::test::run_cases(::tandem::OpId::op, cases, "vulkan"); \
  }
#else
#define TANDEM_VULKAN_CASE(op)
#endif

#if defined(TANDEM_CUDA)
#define TANDEM_CUDA_CASE(op)                                      \
  TEST_CASE("op " #op " on cuda") {                               \
    ::tandem::test::run_cases(::tandem::OpId::op, cases, "cuda"); \
  }
#else
#define TANDEM_CUDA_CASE(op)
#endif

// op, its abi struct; `reference` and `cases` stand above it
#if defined(TANDEM_REFERENCES_ONLY)  // another test binary wants the host executor, not the cases
#define OP_CASES(op, parameters) \
  TANDEM_REFERENCE(op, parameters) [[maybe_unused]] static auto* const op##_cases = &cases;
#else
#define OP_CASES(op, parameters)                                                                               \
  TANDEM_REFERENCE(op, parameters)                                                                             \
  TEST_CASE("op " #op " on host") {                                                                            \
    ::tandem::test::run_cases(::tandem::OpId::op, cases, "host");                                              \
  }                                                                                                            \
  TEST_CASE("op " #op " on cuda_host" * doctest::skip(!::tandem::test::has_cuda_kernel(::tandem::OpId::op))) { \
    ::tandem::test::run_cases(::tandem::OpId::op, cases, "cuda_host");                                         \
  }                                                                                                            \
  TANDEM_VULKAN_CASE(op)                                                                                       \
  TANDEM_CUDA_CASE(op)
#endif
