// Opens NCCL's module; part of the CUDA backend's.
#include <dlfcn.h>

#include <filesystem>

#include "backends/cuda/communicator.h"
#include "backends/cuda/module.h"

namespace tandem::cuda {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInstall =
    "install NCCL 2 (libnccl2 and libnccl-dev of NVIDIA's repository, or pip's nvidia-nccl-cu13)";

fs::path beside_this_module() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&connect), &info) == 0 || info.dli_fname == nullptr) return {};
  return fs::path(info.dli_fname).parent_path() / "libtandem-nccl.so";
}

OpenedModule find_module() {
  const fs::path path = beside_this_module();
  std::error_code error;
  if (!fs::exists(path, error))
    return {nullptr, fmt::format("{} is not there; {} and build with -Dnccl=enabled", path.string(), kInstall)};
  OpenedModule opened = open_module(path.string(), kNcclModuleBuild, kNcclModuleEntry);
  if (opened.entry == nullptr) opened.missing += fmt::format("; {} where the loader looks (LD_LIBRARY_PATH)", kInstall);
  return opened;
}

const OpenedModule& nccl() {
  static const OpenedModule opened = find_module();  // one for all ranks of the process
  return opened;
}

}  // namespace

bool has_nccl() {
  return nccl().entry != nullptr;
}

std::unique_ptr<Communicator> connect(World& world) {
  const OpenedModule& opened = nccl();
  if (opened.entry == nullptr) fail(Exit::device, "cuda", "several GPUs need NCCL: {}", opened.missing);
  return std::unique_ptr<Communicator>(reinterpret_cast<NcclModuleEntry>(opened.entry)(world));
}

}  // namespace tandem::cuda
