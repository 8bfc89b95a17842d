// The module of the CUDA backend is opened only if it is of the program's build.
#include <doctest/doctest.h>

#include <cstdlib>

#include "backends/cuda/cuda.h"
#include "core/build_id.h"
#include "tests/support/temporary.h"

namespace tandem {
namespace {

std::string module_of(const char* variable) {
  const char* path = std::getenv(variable);
  REQUIRE(path != nullptr);
  return path;
}

TEST_CASE("loader: a module of another build is not used, and the message names both builds") {
  const std::string path = module_of("TANDEM_FOREIGN_MODULE");
  const CudaModule module = open_cuda_module(path);
  CHECK(module.factory == nullptr);
  for (const std::string& word : {path, std::string("another-build"), std::string(kBuildId)})
    CHECK_MESSAGE(module.missing.find(word) != std::string::npos, module.missing);
}

TEST_CASE("loader: a library that tells no build is not used") {
  for (const char* variable : {"TANDEM_NAMELESS_MODULE", "TANDEM_FAULT_LIBRARY"}) {
    const CudaModule module = open_cuda_module(module_of(variable));
    CHECK(module.factory == nullptr);
    CHECK_MESSAGE(module.missing.find("is not a module of this program") != std::string::npos, module.missing);
  }
  const test::TemporaryDirectory place;
  CHECK(open_cuda_module(place / "libtandem-cuda.so").missing.find("does not open") != std::string::npos);
}

#ifdef TANDEM_CUDA
TEST_CASE("loader: the module of this build is used, or cannot be opened here") {
  const CudaModule module = open_cuda_module(module_of("TANDEM_CUDA_MODULE"));
  if (module.factory != nullptr) CHECK(module.factory->name == "cuda");
  else CHECK_MESSAGE(module.missing.find("does not open") != std::string::npos, module.missing);
}
#endif

}  // namespace
}  // namespace tandem
