// run-defect NAME planted|fixed: runs it, prints what it wrote as a hash; a sanitizer ends the program otherwise.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string_view>

#include "tests/cuda_host/defects.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    const tandem::test::Defect& d = tandem::test::defect(argv[1]);
    fmt::print("{:016x}\n", (std::string_view(argv[2]) == "fixed" ? d.fixed : d.planted)());
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 3;
  }
}
