#include "core/base/size.h"

#include <doctest/doctest.h>

#include "core/base/error.h"

using namespace tandem;

TEST_CASE("sizes: bytes, KiB, MiB, GiB, GB") {
  CHECK(parse_size("1024", "f") == 1024);
  CHECK(parse_size("3KiB", "f") == 3072);
  CHECK(parse_size("2MiB", "f") == 2097152);
  CHECK(parse_size("16GiB", "f") == 17179869184);
  CHECK(parse_size("1.5 GB", "f") == 1500000000);
  for (const char* wrong : {"", "GiB", "-1", "0", "1e3", "16gb", "16 GiBs", "nan", "99999999999GiB", "1.5.GB", "1.5"})
    CHECK_THROWS_AS(parse_size(wrong, "f"), Error);
}
