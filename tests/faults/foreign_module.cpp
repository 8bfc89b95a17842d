// A module as the CUDA backend's, of the build that TANDEM_FOREIGN_BUILD names; none: it tells no build, as the first
// modules did. Nothing else of it may be called.
#include <cstdlib>

#define EXPORTED extern "C" __attribute__((visibility("default")))

#ifdef TANDEM_FOREIGN_BUILD
EXPORTED const char* tandem_cuda_build() {
  return TANDEM_FOREIGN_BUILD;
}
#endif

EXPORTED const void* tandem_cuda_module() {
  std::abort();
}
