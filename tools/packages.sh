# shellcheck shell=bash disable=SC2034
# The Debian packages that Tandem needs, and how to install those that are missing. Sourced by tools/quickstart,
# tools/test and tools/lint.

build_packages=(g++ meson ninja-build pkg-config python3 libfmt-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev
  libxxhash-dev zlib1g-dev libzstd-dev libvulkan-dev libvulkan-volk-dev glslang-tools libvulkan1 mesa-vulkan-drivers)
test_packages=(doctest-dev vulkan-validationlayers spirv-tools)
browser_packages=(chromium chromium-driver python3-venv)
fuzz_packages=(clang libclang-rt-14-dev)
lint_packages=(clang clang-format clang-tidy python3)
quickstart_packages=(fortunes)

# install_missing PACKAGE...: as root or with sudo; says what it does, and does nothing where all are installed
install_missing() {
  if ! command -v apt-get >/dev/null; then
    echo "No apt-get here: install what these Debian packages hold, if it is missing: $*" >&2
    return 0
  fi
  local package missing=() as_root=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = 'install ok installed' ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Missing packages, and neither root nor sudo: run as root: apt-get install ${missing[*]}" >&2
      return 2
    fi
    as_root=(sudo)
  fi
  echo "Installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq &&
         "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
      >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "apt-get could not install ${missing[*]}; the whole log: $log" >&2
    return 1
  fi
  rm -f "$log"
}

# cuda_options ASKED_FOR: Meson's options for the CUDA backend, which is built where nvcc is found. One architecture: that
# of the GPU here, or else of an H100.
cuda_options() {
  local found
  found=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .) || true
  echo "-Dcuda=$([ "$1" ] && echo enabled || echo auto) -Dgpu_architectures=${found:-90}"
}

# configure BUILD_DIRECTORY MESON_OPTION...: sets up a build directory, or one that exists already anew
configure() {
  local directory=$1
  shift
  if [ -e "$directory/build.ninja" ]; then
    meson setup --reconfigure "$directory" "$@" >"$directory.log" 2>&1 || { tail -n 20 "$directory.log" >&2; return 1; }
    rm -f "$directory.log"
  else
    rm -rf "$directory"
    meson setup "$directory" "$@" >"$directory.log" 2>&1 || { tail -n 20 "$directory.log" >&2; return 1; }
    rm -f "$directory.log"
  fi
}
