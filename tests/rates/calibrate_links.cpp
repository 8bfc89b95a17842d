// Links between two devices that the host plays.
#include "core/rates/calibrate_links.h"

#include <doctest/doctest.h>

#include "core/rates/device_table.h"
#include "tests/support/host_backend.h"
#include "tests/support/temporary.h"

namespace tandem::test {
namespace {

DeviceList two_devices() {
  return {{{.backend = "host", .index = 0, .name = "host"}, {.backend = "host", .index = 1, .name = "host"}}, {}};
}

Links measured(std::unique_ptr<Backend> (*open)(uint32_t)) {
  Registry registry;
  registry.add({"host", two_devices, open});
  return calibrate_links(registry, registry.devices().devices, [](const std::string&) {});
}

TEST_CASE("links: what two devices reach is measured, written and read back") {
  const Links links = measured([](uint32_t index) { return open_host(3, index); });
  for (const double rate : {links.all_gather, links.all_to_all, links.host_total}) {
    CHECK(rate > 1e6);
    CHECK(rate < 1e13);
  }
  CHECK(links.latency >= 0);
  CHECK(links.latency < 1);

  DeviceTable table = load_device_table("rtx-4090");
  table.measured = true;
  table.target.rates.links = links;
  const Links read = parse_device_table(device_table_text(table), "links.toml").target.rates.links;
  CHECK(read.all_gather == doctest::Approx(links.all_gather).epsilon(1e-2));
  CHECK(read.all_to_all == doctest::Approx(links.all_to_all).epsilon(1e-2));
  CHECK(read.host_total == doctest::Approx(links.host_total).epsilon(1e-2));
}

TEST_CASE("links: a device that cannot be opened ends the measurement for all") {
  check_fails(Exit::device, {"the second one is away"}, [] {
    measured([](uint32_t index) {
      if (index == 1) fail(Exit::device, "host", "the second one is away");
      return open_host(3, index);
    });
  });
}

}  // namespace
}  // namespace tandem::test
