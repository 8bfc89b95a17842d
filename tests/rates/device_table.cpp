#include "core/rates/device_table.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/file.h"

using namespace tandem;

namespace {

constexpr std::string_view kTable = R"(name = "Some card"
compute_capability = "8.9"
[memory]
device = "16 GiB"
reserve = "512 MiB"
workspace = "32 MiB"
[limits]
queues = 3
alignment = 256
[rates]
e4m3 = 200e12
bf16 = 100e12
f32 = 50e12
multiprocessors = 64
bandwidth = 500e9
host_to_device = 20e9
device_to_host = 10e9
launch = 2e-6
[reached]
e4m3 = 0.5
bf16 = 0.75
f32 = 0.5
attention = 0.25
)";

// kTable with the first `from` replaced
std::string with(std::string_view from, std::string_view to) {
  std::string text(kTable);
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

void check_refused(const std::string& text, const char* named) {
  CAPTURE(text);
  CHECK_THROWS_WITH_AS(parse_device_table(text, "card.toml"), doctest::Contains(named), Error);
  try {
    parse_device_table(text, "card.toml");
  } catch (const Error& e) {
    CHECK(e.exit() == Exit::configuration);
    CHECK(std::string(e.what()).find("card.toml") != std::string::npos);
  }
}

std::string source(const std::string& path) {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  return std::string(root ? root : ".") + "/" + path;
}

}  // namespace

TEST_CASE("device table: every key lands in the target, rates as the shares that are reached") {
  const DeviceTable t = parse_device_table(kTable, "card.toml");
  CHECK(t.target.name == "Some card");
  CHECK(t.target.memory_bytes == uint64_t(16) << 30);
  CHECK(t.target.reserve_bytes == uint64_t(512) << 20);
  CHECK(t.target.workspace_bytes == uint64_t(32) << 20);
  CHECK(t.target.queues == queues_of(3));
  CHECK(t.target.largest_arena == uint64_t(16) << 30);
  CHECK(t.target.rates.e4m3 == doctest::Approx(100e12));
  CHECK(t.target.rates.bf16 == doctest::Approx(75e12));
  CHECK(t.target.rates.f32 == doctest::Approx(25e12));
  CHECK(t.target.rates.attention == doctest::Approx(25e12));
  CHECK(t.target.rates.multiprocessors == 64);
  CHECK(t.target.rates.bandwidth == doctest::Approx(500e9));
  CHECK(t.target.rates.host_to_device == doctest::Approx(20e9));
  CHECK(t.target.rates.device_to_host == doctest::Approx(10e9));
  CHECK(t.target.rates.zero_copy == 0);
  const std::string with_zero_copy = with("launch", "zero_copy = 15e9\nlaunch");
  CHECK(parse_device_table(with_zero_copy, "card.toml").target.rates.zero_copy == doctest::Approx(15e9));
  CHECK(t.target.rates.launch_seconds == doctest::Approx(2e-6));
  CHECK(t.info.recipes == std::vector<std::string>{"fp32", "bf16", "fp8"});
}

TEST_CASE("device table: fp8 wants both the units and the rate") {
  CHECK(parse_device_table(with("\"8.9\"", "\"8.6\""), "card.toml").info.recipes.size() == 2);
  std::string none = with("e4m3 = 200e12\n", "");
  none.erase(none.find("e4m3 = 0.5\n"), 11);
  CHECK(parse_device_table(none, "card.toml").info.recipes.size() == 2);
  CHECK(parse_device_table(with("\"8.9\"", "\"12.0\""), "card.toml").info.recipes.size() == 3);
}

TEST_CASE("device table: what is written reads as the same table") {
  DeviceTable table = parse_device_table(kTable, "card.toml");
  table.measured = true;
  Target& t = table.target;
  t.name = "A \"card\"\\";
  t.largest_arena = 1 << 20;
  t.largest_operand = 1 << 18;
  t.host_memory_bytes = 123456789;
  t.rates.attention_backward = 20e12;
  t.rates.narrow_attention = 15e12;
  t.rates.narrow_attention_backward = 12e12;
  t.rates.passes = 0.75;
  t.rates.quantize = 0.625;
  t.rates.zero_copy = 12e9;
  t.rates.optimizer = 0.5;
  t.rates.products = {{256, 0.25, 0.5, 0.75}, {512, 1, 1, 1}};
  for (const bool fp8 : {true, false}) {
    if (!fp8) t.rates.e4m3 = 0;
    const std::string text = device_table_text(table);
    CAPTURE(text);
    CHECK((text.find("e4m3") != std::string::npos) == fp8);
    const DeviceTable read = parse_device_table(text, "card.toml");
    const Target& r = read.target;
    CHECK(read.measured);
    CHECK(read.info.recipes.size() == (fp8 ? 3 : 2));
    CHECK(r.name == t.name);
    CHECK(r.memory_bytes == t.memory_bytes);
    CHECK(r.reserve_bytes == t.reserve_bytes);
    CHECK(r.workspace_bytes == t.workspace_bytes);
    CHECK(r.host_memory_bytes == t.host_memory_bytes);
    CHECK(r.largest_arena == t.largest_arena);
    CHECK(r.largest_operand == t.largest_operand);
    CHECK(r.queues == t.queues);
    const auto same = [](double a, double b) { CHECK(a == doctest::Approx(b).epsilon(1e-3)); };
    same(r.rates.e4m3, t.rates.e4m3);
    same(r.rates.bf16, t.rates.bf16);
    same(r.rates.f32, t.rates.f32);
    same(r.rates.attention, t.rates.attention);
    same(r.rates.attention_backward, t.rates.attention_backward);
    same(r.rates.narrow_attention, t.rates.narrow_attention);
    same(r.rates.narrow_attention_backward, t.rates.narrow_attention_backward);
    same(r.rates.bandwidth, t.rates.bandwidth);
    same(r.rates.passes, t.rates.passes);
    same(r.rates.quantize, t.rates.quantize);
    same(r.rates.optimizer, t.rates.optimizer);
    same(r.rates.host_to_device, t.rates.host_to_device);
    same(r.rates.zero_copy, t.rates.zero_copy);
    same(r.rates.device_to_host, t.rates.device_to_host);
    same(r.rates.launch_seconds, t.rates.launch_seconds);
    REQUIRE(r.rates.products.size() == 2);
    same(r.rates.products[0].n, 256);
    same(r.rates.products[0].e4m3, fp8 ? 0.25 : 0);
    same(r.rates.products[0].bf16, 0.5);
    same(r.rates.products[0].f32, 0.75);
  }
}

TEST_CASE("device table: what is wrong is named, with the file") {
  check_refused("name = = 1", "card.toml:1");
  check_refused(with("bandwidth = 500e9\n", ""), "rates.bandwidth is missing");
  check_refused(with("[reached]", "[reach]"), "reached is missing");
  check_refused(with("launch = 2e-6", "launch = 2e-6\nlunch = 1"), "card.toml:19] unknown key rates.lunch");
  check_refused(with("bandwidth = 500e9", "bandwidth = 0"), "rates.bandwidth");
  check_refused(with("bandwidth = 500e9", "bandwidth = nan"), "rates.bandwidth");
  check_refused(with("bandwidth = 500e9", "bandwidth = true"), "rates.bandwidth");
  check_refused(with("bandwidth = 500e9", "bandwidth = 500e19"), "rates.bandwidth");
  check_refused(with("\"16 GiB\"", "\"16 GX\""), "memory.device");
  check_refused(with("\"16 GiB\"", "-1"), "memory.device");
  check_refused(with("queues = 3", "queues = 0"), "limits.queues");
  check_refused(with("queues = 3", "queues = 3.5"), "limits.queues");
  check_refused(with("\"8.9\"", "\"eight\""), "compute_capability");
  check_refused(with("\"8.9\"", "\"8.\""), "compute_capability");
  check_refused(with("\"Some card\"", "\"\""), "name");
  check_refused(with("bf16 = 0.75", "bf16 = 1.5"), "reached.bf16");
  check_refused(with("[limits]", "[[limits]]"), "limits is not what was expected: a section");
  const std::string shares = fmt::format("{}[products]\nsizes = [256, 512]\nbf16 = [1, 1]\nf32 = [1, 1]\n", kTable);
  check_refused(shares, "products.e4m3 is missing");
  check_refused(shares + "e4m3 = [1]\n", "as many sizes");
  check_refused(shares + "e4m3 = [1, 0]\n", "products.e4m3");
  check_refused(fmt::format("{}[products]\nsizes = [9, 8]\nbf16 = [1, 1]\nf32 = [1, 1]\ne4m3 = [1, 1]\n", kTable),
                "ascending");
  check_refused(fmt::format("measured = 1\n{}", kTable), "measured");
}

TEST_CASE("device table: the shipped ones read, and are found by name and by device") {
  const std::vector<std::string> names = device_table_names();
  for (const char* name : {"rtx-3060-12gb", "rtx-3090", "rtx-4060-ti-16gb", "rtx-4070-ti-super", "rtx-4080", "rtx-4090",
                           "rtx-5060-ti-16gb", "rtx-5070-ti", "rtx-5080", "rtx-5090", "a100", "l40s", "h100", "h200"}) {
    CAPTURE(std::string(name));
    CHECK(std::ranges::find(names, name) != names.end());
    const DeviceTable t = load_device_table(name);
    CHECK(t.target.rates.known());
    CHECK(device_table_of(t.target.name)->target.rates.bandwidth == t.target.rates.bandwidth);
    CHECK(load_device_table(source(std::string("configs/devices/") + name + ".toml")).target.name == t.target.name);
  }
  CHECK_FALSE(device_table_of("a card that nobody has"));
  CHECK_THROWS_WITH_AS(load_device_table("rtx-9090"), doctest::Contains("rtx-4090"), Error);
  CHECK_THROWS_AS(load_device_table("../devices/rtx-4090"), Error);
}
