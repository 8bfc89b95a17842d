// Ops whose header says what each operation and each sum rounds: their kernels have the reference's bits.
#pragma once

#include "tests/support/op_case.h"

namespace tandem::test {

inline void check_same_bits(OpId op, void (*cases)(Cases&), std::string_view name) {
  Cases table;
  cases(table);
  for (const Case& c : table.list()) {
    const std::vector<Buffer> expected = run_case(op, c, executor("host")), made = run_case(op, c, executor(name));
    for (size_t i = 0; i < made.size(); ++i) {
      if (made[i].desc.dtype == DType::none) continue;
      INFO(c.name, ", operand ", i);
      CHECK(compare(made[i].desc, made[i].bytes, expected[i].bytes, Budget::exact).wrong == "");
    }
  }
}

// A GPU's Vulkan driver may divide and take roots less exactly than software does.
inline bool is_software(std::string_view name) {
  return executor(name).target().name.find("llvmpipe") != std::string::npos;
}

}  // namespace tandem::test

#if defined(TANDEM_REFERENCES_ONLY)
#define SAME_BITS(op)
#else
#define SAME_BITS(op)                                                        \
  TEST_CASE("op " #op " has the reference's bits on cuda_host") {            \
    ::tandem::test::check_same_bits(::tandem::OpId::op, cases, "cuda_host"); \
  }                                                                          \
  SAME_BITS_ON_VULKAN(op)
#if defined(TANDEM_VULKAN)
#define SAME_BITS_ON_VULKAN(op)                                                                                      \
  TEST_CASE("op " #op " has the reference's bits on vulkan") {                                                       \
    if (::tandem::test::is_software("vulkan")) ::tandem::test::check_same_bits(::tandem::OpId::op, cases, "vulkan"); \
  }
#else
#define SAME_BITS_ON_VULKAN(op)
#endif
#endif
