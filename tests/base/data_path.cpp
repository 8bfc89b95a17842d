// Where data files are looked for: in a checkout, an installation, and a build folder anywhere.
#include "core/base/data_path.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/support/temporary.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

TEST_CASE("data path: an installed program looks in its prefix, then where it was configured to be") {
  const DataPlaces places{.current = ".",
                          .executable = "/opt/t/bin/tandem",
                          .data = "/usr/share/tandem",
                          .build_root = "/home/a/build",
                          .source_root = "/home/a/source"};
  CHECK(data_directories("devices", places) ==
        Strings{"configs/devices", "/opt/t/share/tandem/devices", "/usr/share/tandem/devices"});
}

TEST_CASE("data path: a program of a build folder, wherever that is, looks in its source last") {
  const test::TemporaryDirectory place;
  fs::create_directories(place / "build/cli");
  fs::create_symlink(place / "build", place / "link");
  DataPlaces places{.current = "/somewhere",
                    .executable = place / "build/cli/tandem",
                    .data = "/usr/share/tandem",
                    .build_root = place / "link",
                    .source_root = "/home/a/source"};
  CHECK(data_directories("devices", places) == Strings{"/somewhere/configs/devices",
                                                       place / "build/share/tandem/devices",
                                                       "/usr/share/tandem/devices", "/home/a/source/configs/devices"});
  places.executable = place / "build-of-another/cli/tandem";
  CHECK(data_directories("devices", places).size() == 3);
  places.executable = "";
  CHECK(data_directories("devices", places) == Strings{"/somewhere/configs/devices", "/usr/share/tandem/devices"});
}

TEST_CASE("data path: this test finds its source's device tables from anywhere") {
  const test::TemporaryDirectory elsewhere;
  const fs::path before = fs::current_path();
  fs::current_path(elsewhere.path());
  const Strings directories = data_directories("devices");
  fs::current_path(before);
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  REQUIRE(root != nullptr);
  CHECK(fs::equivalent(directories.back(), std::string(root) + "/configs/devices"));
}

}  // namespace
}  // namespace tandem
