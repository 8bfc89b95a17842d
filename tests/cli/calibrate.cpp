// `tandem devices --calibrate`: a table that is measured, that reads, and that plans.
#include <doctest/doctest.h>

#include "core/rates/device_table.h"
#include "tests/cli/command.h"

namespace tandem::test {
namespace {

TEST_CASE("devices --calibrate writes a table of positive rates, which plan takes, on vulkan") {
  const Workplace place;
  const Outcome o = place.tandem({"devices", "--calibrate", "--device", "vulkan", "--out", "measured.toml"});
  INFO(o.err);
  REQUIRE(o.exit == 0);
  CHECK(o.out == "");
  const DeviceTable table = parse_device_table(place.read("measured.toml"), "measured.toml");
  CHECK(table.measured);
  CHECK(table.info.recipes == std::vector<std::string>{"fp32", "bf16", "fp8"});
  const Rates& r = table.target.rates;
  for (const double rate : {r.e4m3, r.bf16, r.f32, r.attention, r.attention_backward, r.bandwidth, r.passes,
                            r.optimizer, r.host_to_device, r.device_to_host, r.zero_copy, r.launch_seconds})
    CHECK(rate > 0);
  CHECK(r.products.size() >= 1);

  place.write_model("model");
  place.write("c.toml", small_config());
  const std::vector<std::string> plan = {"plan", "c.toml", "--json", "--device"};
  const auto planned = [&](const std::string& device) {
    std::vector<std::string> arguments = plan;
    arguments.push_back(device);
    const Outcome p = place.tandem(arguments);
    INFO(p.err);
    CHECK(p.exit == 0);
    return p.json().at("step_seconds").get<double>();
  };
  const double seconds = planned("./measured.toml");
  CHECK(seconds > 0);
  // Its rates are what the plan reckons with: launches of a second each take longer than all else.
  std::string slower = place.read("measured.toml");
  const size_t at = slower.find("launch = ");
  REQUIRE(at != std::string::npos);
  slower.replace(at, slower.find('\n', at) - at, "launch = 1.0");
  place.write("slower.toml", slower);
  CHECK(planned("./slower.toml") > seconds + 10);

  const Outcome again = place.tandem({"devices", "--calibrate", "--device", "vulkan", "--out", "measured.toml"});
  CHECK(again.exit == 2);
  CHECK(again.says("exists"));
}

TEST_CASE("devices refuses what does not go together, before anything is measured") {
  const Workplace place;
  CHECK(place.tandem({"devices", "--out", "x.toml"}).exit == 2);
  CHECK(place.tandem({"devices", "--device", "vulkan"}).exit == 2);
  CHECK(place.tandem({"devices", "--calibrate", "--json"}).exit == 2);
  const Outcome o = place.tandem({"devices", "--calibrate", "--out", "x.json"});
  CHECK(o.exit == 2);
  CHECK(o.says(".toml"));
  CHECK_FALSE(file_exists(place.path("x.json")));
}

}  // namespace
}  // namespace tandem::test
