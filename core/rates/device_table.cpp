#include "core/rates/device_table.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>

#include "core/base/data_path.h"
#include "core/base/file.h"
#include "core/base/size.h"
#include "core/base/toml.h"

namespace tandem {
namespace {

constexpr std::string_view kLeastFp8 = "8.9";  // compute capability
constexpr double kMostShare = 4;               // times the largest product's: smaller ones may be faster
constexpr double kMostAttention = 10;          // times the bf16 rate: attention is not a product
constexpr double kMostRate = 1e18;             // FLOP/s or bytes/s: a slipped exponent, not a device

// A table read key by key; what is left over is unknown.
class Section {
 public:
  Section(const toml::table& table, std::string path, std::string name)
      : table_(table), path_(std::move(path)), name_(std::move(name)) {}

  const toml::node* find(const std::string& key) {
    read_.push_back(key);
    return table_.get(key);
  }

  std::string text(const std::string& key) {
    const toml::node& node = require(key);
    if (node.as_string() == nullptr || node.as_string()->get().empty()) wrong(node, key, "a string that is not empty");
    return node.as_string()->get();
  }

  bool boolean(const std::string& key) {
    const toml::node& node = require(key);
    if (!node.is_boolean()) wrong(node, key, "true or false");
    return *node.value<bool>();
  }

  uint64_t size(const std::string& key) {
    const toml::node& node = require(key);
    if (const auto* number = node.as_integer(); number != nullptr && number->get() > 0) return uint64_t(number->get());
    try {
      if (const auto* text = node.as_string()) return parse_size(text->get(), "");
    } catch (const Error&) {  // reported with the key
    }
    wrong(node, key, "bytes as a positive integer, or a string such as \"16 GiB\"");
  }
  uint64_t size_or(const std::string& key, uint64_t otherwise) { return table_.contains(key) ? size(key) : otherwise; }

  uint64_t count(const std::string& key, uint64_t least, uint64_t most) {
    const toml::node& node = require(key);
    const auto* number = node.as_integer();
    if (number == nullptr || number->get() < int64_t(least) || number->get() > int64_t(most))
      wrong(node, key, fmt::format("an integer from {} to {}", least, most));
    return uint64_t(number->get());
  }

  // over 0
  double number(const std::string& key, double most) {
    const toml::node& node = require(key);
    const double value = node.value<double>().value_or(0);
    if (!node.is_number() || !(value > 0 && value <= most))
      wrong(node, key, fmt::format("a number over 0, at most {}", most));
    return value;
  }
  double number_or(const std::string& key, double most, double otherwise) {
    return table_.contains(key) ? number(key, most) : otherwise;
  }

  std::vector<double> numbers(const std::string& key, double most) {
    const toml::node& node = require(key);
    std::vector<double> values;
    if (const auto* list = node.as_array())
      for (const toml::node& entry : *list) {
        values.push_back(entry.is_number() ? entry.value<double>().value_or(0) : 0);
        if (!(values.back() > 0 && values.back() <= most)) values.clear();
        if (values.empty()) break;
      }
    if (values.empty()) wrong(node, key, fmt::format("a list of numbers over 0, at most {}", most));
    return values;
  }

  bool has(const std::string& key) const { return table_.contains(key); }

  Section section(const std::string& key) {
    const toml::node& node = require(key);
    if (node.as_table() == nullptr) wrong(node, key, "a section");
    return Section(*node.as_table(), path_, key);
  }

  void finish() const {
    for (const auto& [key, node] : table_)
      if (std::ranges::find(read_, key.str()) == read_.end())
        fail(Exit::configuration, toml_place(node, path_), "unknown key {}; expected one of {}", full(key.str()),
             fmt::join(read_, ", "));
  }

  [[noreturn]] void wrong(const toml::node& node, const std::string& key, const std::string& expected) const {
    fail(Exit::configuration, toml_place(node, path_), "{} is not what was expected: {}", full(key), expected);
  }

  const toml::node& require(const std::string& key) {
    const toml::node* node = find(key);
    if (node == nullptr) fail(Exit::configuration, path_, "{} is missing from the device table", full(key));
    return *node;
  }

 private:
  std::string full(std::string_view key) const {
    return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
  }

  const toml::table& table_;
  std::string path_, name_;
  std::vector<std::string> read_;
};

// "8.9" as 809
uint32_t capability(std::string_view text) {
  uint32_t major = 0, minor = 0;
  const char *end = text.data() + text.size(), *dot = std::find(text.data(), end, '.');
  if (dot == end || std::from_chars(text.data(), dot, major).ptr != dot || major == 0 ||
      std::from_chars(dot + 1, end, minor).ptr != end || dot + 1 == end || minor > 9 || major > 99)
    return 0;
  return 100 * major + minor;
}

void read_limits(Section limits, Target& target) {
  target.queues = queues_of(uint32_t(limits.count("queues", 1, 3)));
  target.alignment = limits.count("alignment", 16, 1 << 20);
  target.largest_arena = limits.size_or("largest_arena", target.memory_bytes) / target.alignment * target.alignment;
  target.largest_operand = std::min(target.largest_arena, limits.size_or("largest_operand", target.largest_arena));
  target.largest_chunk = target.largest_operand;
  limits.finish();
}

void read_rates(Section rates, Section reached, Target& target) {
  Rates& r = target.rates;
  r.e4m3 = rates.number_or("e4m3", kMostRate, 0);
  if (r.e4m3 > 0) r.e4m3 *= reached.number("e4m3", 1);
  const double bf16 = rates.number("bf16", kMostRate);
  r.bf16 = bf16 * reached.number("bf16", 1);
  r.attention = bf16 * reached.number("attention", kMostAttention);
  r.attention_backward = bf16 * reached.number_or("attention_backward", kMostAttention, 0);
  r.narrow_attention = bf16 * reached.number_or("narrow_attention", kMostAttention, 0);
  r.narrow_attention_backward = bf16 * reached.number_or("narrow_attention_backward", kMostAttention, 0);
  r.passes = reached.number_or("bandwidth", 1, r.passes);
  r.quantize = reached.number_or("quantize", 1, 0);
  r.optimizer = reached.number_or("optimizer", 1, r.optimizer);
  r.f32 = rates.number("f32", kMostRate) * reached.number("f32", 1);
  r.multiprocessors = uint32_t(rates.count("multiprocessors", 1, 1 << 16));
  r.bandwidth = rates.number("bandwidth", kMostRate);
  r.host_to_device = rates.number("host_to_device", kMostRate);
  r.device_to_host = rates.number("device_to_host", kMostRate);
  r.zero_copy = rates.number_or("zero_copy", kMostRate, 0);
  r.launch_seconds = rates.number("launch", 1);
  rates.finish();
  reached.finish();
}

void read_products(Section products, Rates& rates) {
  const std::vector<double> sizes = products.numbers("sizes", 1 << 20), bf16 = products.numbers("bf16", kMostShare),
                            f32 = products.numbers("f32", kMostShare);
  const std::vector<double> e4m3 = rates.e4m3 > 0 ? products.numbers("e4m3", kMostShare) : std::vector<double>{};
  products.finish();
  if (bf16.size() != sizes.size() || f32.size() != sizes.size() || (rates.e4m3 > 0 && e4m3.size() != sizes.size()))
    products.wrong(*products.find("sizes"), "sizes", "as many sizes as shares of each dtype");
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (i > 0 && sizes[i] <= sizes[i - 1]) products.wrong(*products.find("sizes"), "sizes", "ascending numbers");
    rates.products.push_back({sizes[i], rates.e4m3 > 0 ? e4m3[i] : 0, bf16[i], f32[i]});
  }
}

void read_links(Section links, Links& l) {
  l.all_gather = links.number("all_gather", kMostRate);
  l.all_to_all = links.number("all_to_all", kMostRate);
  l.latency = links.number("latency", 1);
  l.host_total = links.number_or("host_total", kMostRate, 0);
  links.finish();
}

// key = "text", escaped
std::string toml_line(const char* key, const std::string& text) {
  std::ostringstream line;
  line << toml::table{{key, text}} << '\n';
  return line.str();
}

std::vector<std::string> files_of(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error))
    if (entry.path().extension() == ".toml") files.push_back(entry.path().string());
  std::ranges::sort(files);
  return files;
}

}  // namespace

DeviceTable parse_device_table(std::string_view text, const std::string& path) {
  const toml::table root = parse_toml(text, path);
  Section top(root, path, "");
  DeviceTable table;
  Target& target = table.target;
  target.name = top.text("name");
  if (top.has("measured")) table.measured = top.boolean("measured");
  const bool versioned = !table.measured || top.has("compute_capability");
  const std::string version = versioned ? top.text("compute_capability") : std::string(kLeastFp8);
  if (capability(version) == 0) top.wrong(*top.find("compute_capability"), "compute_capability", "such as \"8.9\"");
  Section memory = top.section("memory");
  target.memory_bytes = memory.size("device");
  target.reserve_bytes = memory.size("reserve");
  target.workspace_bytes = memory.size_or("workspace", 0);
  target.staging_bytes = memory.size_or("staging", 0);
  target.host_memory_bytes = memory.size_or("host", 0);
  memory.finish();
  read_limits(top.section("limits"), target);
  read_rates(top.section("rates"), top.section("reached"), target);
  if (top.has("products")) read_products(top.section("products"), target.rates);
  if (top.has("links")) read_links(top.section("links"), target.rates.links);
  top.finish();
  table.info = {.backend = "table",
                .index = 0,
                .name = target.name,
                .memory_bytes = target.memory_bytes,
                .recipes = {"fp32", "bf16"},
                .kind = DeviceInfo::Kind::discrete};
  if (target.rates.e4m3 > 0 && capability(version) >= capability(kLeastFp8)) table.info.recipes.push_back("fp8");
  return table;
}

std::vector<std::string> device_table_names() {
  std::vector<std::string> names;
  for (const std::string& directory : data_directories("devices"))
    for (const std::string& file : files_of(directory)) names.push_back(std::filesystem::path(file).stem().string());
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

DeviceTable load_device_table(const std::string& name) {
  if (name.ends_with(".toml")) return parse_device_table(read_text(name, Exit::configuration), name);
  for (const std::string& directory : data_directories("devices")) {
    const std::string path = fmt::format("{}/{}.toml", directory, name);
    if (name.find('/') == std::string::npos && file_exists(path))
      return parse_device_table(read_text(path, Exit::configuration), path);
  }
  const std::vector<std::string> names = device_table_names();
  fail(Exit::configuration, "--device", "'{}' is unknown; expected BACKEND[:N], a .toml file or {}", name,
       names.empty()
           ? fmt::format("a table, of which there is none in {}", fmt::join(data_directories("devices"), ", "))
           : fmt::format("one of {}", fmt::join(names, ", ")));
}

std::optional<DeviceTable> device_table_of(std::string_view device_name) {
  std::optional<DeviceTable> found;
  for (const std::string& directory : data_directories("devices"))
    for (const std::string& file : files_of(directory)) {
      DeviceTable table = parse_device_table(read_text(file, Exit::configuration), file);
      if (table.target.name == device_name && (!found || (table.measured && !found->measured)))
        found = std::move(table);
    }
  return found;
}

std::string device_table_text(const DeviceTable& table) {
  const Target& t = table.target;
  const Rates& r = t.rates;
  std::string text;
  const auto put = [&](const char* key, const auto& value) { text += fmt::format("{} = {}\n", key, value); };
  const auto rate = [&](const char* key, double value) { text += fmt::format("{} = {:.4g}\n", key, value); };
  const auto list = [&](const char* key, const auto& of) {
    std::vector<std::string> values;
    for (const Rates::SizeShare& s : r.products) values.push_back(fmt::format("{:.4g}", of(s)));
    text += fmt::format("{} = [{}]\n", key, fmt::join(values, ", "));
  };
  text += toml_line("name", t.name);
  put("measured", table.measured);
  text += "\n[memory]\n";
  put("device", t.memory_bytes);
  put("reserve", std::max<uint64_t>(1, t.reserve_bytes));
  if (t.workspace_bytes > 0) put("workspace", t.workspace_bytes);
  if (t.staging_bytes > 0) put("staging", t.staging_bytes);
  if (t.host_memory_bytes > 0) put("host", t.host_memory_bytes);
  text += "\n[limits]\n";
  put("queues", t.queues.size());
  put("alignment", t.alignment);
  put("largest_arena", t.largest_arena);
  put("largest_operand", t.largest_operand);
  text += "\n[rates]  # FLOP/s, bytes/s, seconds\n";
  if (r.e4m3 > 0) rate("e4m3", r.e4m3);
  rate("bf16", r.bf16);
  rate("f32", r.f32);
  put("multiprocessors", std::max(1u, r.multiprocessors));
  rate("bandwidth", r.bandwidth);
  rate("host_to_device", r.host_to_device);
  rate("device_to_host", r.device_to_host);
  if (r.zero_copy > 0) rate("zero_copy", r.zero_copy);
  rate("launch", r.launch_seconds);
  text += "\n[reached]  # of those rates\n";
  if (r.e4m3 > 0) put("e4m3", 1.0);
  put("bf16", 1.0);
  put("f32", 1.0);
  rate("attention", r.attention / r.bf16);
  rate("attention_backward", (r.attention_backward > 0 ? r.attention_backward : r.attention) / r.bf16);
  if (r.narrow_attention > 0) rate("narrow_attention", r.narrow_attention / r.bf16);
  if (r.narrow_attention_backward > 0) rate("narrow_attention_backward", r.narrow_attention_backward / r.bf16);
  rate("bandwidth", r.passes);
  if (r.quantize > 0) rate("quantize", r.quantize);
  rate("optimizer", r.optimizer);
  if (r.links.all_gather > 0) {
    text += "\n[links]  # between ranks\n";
    rate("all_gather", r.links.all_gather);
    rate("all_to_all", r.links.all_to_all);
    rate("latency", r.links.latency);
    if (r.links.host_total > 0) rate("host_total", r.links.host_total);
  }
  if (r.products.empty()) return text;
  text += "\n[products]  # shares of those rates by the cube root of m n k\n";
  list("sizes", [](const Rates::SizeShare& s) { return s.n; });
  if (r.e4m3 > 0) list("e4m3", [](const Rates::SizeShare& s) { return s.e4m3; });
  list("bf16", [](const Rates::SizeShare& s) { return s.bf16; });
  list("f32", [](const Rates::SizeShare& s) { return s.f32; });
  return text;
}

}  // namespace tandem
