// The Vulkan backend by itself: memory, Programs made by hand of op add, fills, copies and barriers, and its refusals.
#include "backends/vulkan/vulkan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "core/abi/add.h"
#include "core/abi/loss_sum.h"

namespace tandem {
namespace {

constexpr uint64_t kCount = 5000, kStride = 20480;  // elements of an operand; bytes from one to the next
constexpr uint64_t kArenaBytes = 4 * kStride;

// Sets an environment variable for a scope.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value, 1);
  }
  ~Variable() { old_.empty() ? unsetenv(name_) : setenv(name_, old_.c_str(), 1); }

 private:
  const char* name_;
  std::string old_;
};

Arena arena(uint64_t bytes = kArenaBytes, ArenaKind kind = ArenaKind::device) {
  return {"test", kind, bytes};
}

BufferRef slot(uint64_t index, uint32_t in_arena = 0) {
  return {in_arena, index * kStride, kCount * 4};
}

Instruction add(uint64_t a, uint64_t b, uint64_t y, uint32_t count = kCount) {
  const TensorDesc desc{DType::f32, {count}};
  const auto operand = [&](uint64_t index, Access access) {
    return Operand{desc, {0, index * kStride, desc.bytes()}, access};
  };
  return {Queue::compute,
          Dispatch{OpId::add,
                   Parameters(abi::Add{count}),
                   {operand(a, Access::read), operand(b, Access::read), operand(y, Access::write)}},
          "test add"};
}

std::vector<float> counting(float first) {
  std::vector<float> values(kCount);
  std::iota(values.begin(), values.end(), first);
  return values;
}

void write(Backend& backend, Memory& memory, uint64_t index, const std::vector<float>& values) {
  backend.write(memory, index * kStride, std::as_bytes(std::span(values)));
}

std::vector<float> read(Backend& backend, const Memory& memory, uint64_t index) {
  std::vector<float> values(kCount);
  backend.read(memory, index * kStride, std::as_writable_bytes(std::span(values)));
  return values;
}

// what is thrown while f runs, as "exit code: message"; empty: nothing
template <typename F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return fmt::format("{}: {}", int(error.exit()), error.what());
  }
  return "";
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

void check_round_trip(ArenaKind kind) {
  const auto backend = vulkan_backend().open(0);
  constexpr uint64_t kBytes = (33 << 20) + 12;  // more than two staging buffers
  const auto memory = backend->allocate(arena(kBytes, kind));
  std::vector<uint32_t> out(kBytes / 4), in(kBytes / 4);
  std::iota(out.begin(), out.end(), 7u);
  backend->write(*memory, 0, std::as_bytes(std::span(out)));
  backend->read(*memory, 0, std::as_writable_bytes(std::span(in)));
  CHECK(in == out);

  std::vector<std::byte> part(5);
  backend->read(*memory, 4 * 1000 + 1, part);
  CHECK(std::memcmp(part.data(), reinterpret_cast<const char*>(out.data()) + 4 * 1000 + 1, part.size()) == 0);
  CHECK(contains(error_of([&] { backend->read(*memory, kBytes - 4, part); }), "1: "));
}

// y = (a + b) + a, a copy of it, and a fill, with the barriers that they need; the range begin runs first.
Program sample() {
  Program program;
  program.arenas = {arena(), arena(kArenaBytes, ArenaKind::host)};
  program.ranges[size_t(Range::begin)] = {{Queue::compute, Fill{slot(1, 1)}, "clear"}};
  program.ranges[size_t(Range::micro_step)] = {
      add(0, 1, 2),
      {Queue::compute, Barrier{}, ""},
      add(2, 0, 3),
      {Queue::compute, Signal{0}, ""},
      {Queue::compute, Wait{0}, ""},
      {Queue::compute, Copy{slot(3), slot(0, 1)}, "report"},
      {Queue::compute, Fill{slot(2)}, "clear"},
  };
  return program;
}

void check_sample() {
  const auto backend = vulkan_backend().open(0);
  const Program program = sample();
  const auto device = backend->allocate(program.arenas[0]), host = backend->allocate(program.arenas[1]);
  Memory* const memories[] = {device.get(), host.get()};
  const auto executable = backend->load(program, memories);
  write(*backend, *host, 1, counting(1));
  executable->submit(Range::begin);

  const std::vector<float> a = counting(0.25f), b = counting(-3);
  std::vector<float> expected(kCount);
  for (size_t i = 0; i < kCount; ++i) expected[i] = a[i] + b[i] + a[i];
  for (int run = 0; run < 3; ++run) {
    write(*backend, *device, 0, a);
    write(*backend, *device, 1, b);
    executable->wait(executable->submit(Range::micro_step));
    CHECK(read(*backend, *device, 3) == expected);
    CHECK(read(*backend, *host, 0) == expected);
    CHECK(read(*backend, *device, 2) == std::vector<float>(kCount));
  }
  CHECK(read(*backend, *host, 1) == std::vector<float>(kCount));
}

TEST_CASE("memory keeps what is written on vulkan") {
  check_round_trip(ArenaKind::device);
  check_round_trip(ArenaKind::host);
  const Variable portable("TANDEM_VULKAN_PORTABLE", "1");
  check_round_trip(ArenaKind::device);
}

TEST_CASE("a program of adds, fills, copies and barriers on vulkan") {
  check_sample();
  const Variable portable("TANDEM_VULKAN_PORTABLE", "1");
  check_sample();
}

// y starts at 0 and takes y + b once a run: a lost order between runs loses a sum.
TEST_CASE("submissions run in order without waits between them on vulkan") {
  const auto backend = vulkan_backend().open(0);
  Program program;
  program.arenas = {arena()};
  program.ranges[size_t(Range::begin)] = {{Queue::compute, Fill{slot(2)}, ""}};
  program.ranges[size_t(Range::micro_step)] = {
      add(2, 1, 3), {Queue::compute, Barrier{}, ""}, {Queue::compute, Copy{slot(3), slot(2)}, ""}};
  const auto memory = backend->allocate(program.arenas[0]);
  Memory* const memories[] = {memory.get()};
  const auto executable = backend->load(program, memories);
  write(*backend, *memory, 1, counting(1));
  executable->submit(Range::begin);
  std::vector<Timepoint> timepoints;
  for (int run = 0; run < 20; ++run) timepoints.push_back(executable->submit(Range::micro_step));
  for (size_t i = 1; i < timepoints.size(); ++i) CHECK(timepoints[i].value > timepoints[i - 1].value);
  executable->wait(timepoints[3]);
  executable->wait(timepoints.back());
  std::vector<float> expected = counting(1);
  for (float& value : expected) value *= 20;
  CHECK(read(*backend, *memory, 2) == expected);
}

TEST_CASE("a profile gives every instruction its time on vulkan") {
  const auto backend = vulkan_backend().open(0);
  const Program program = sample();
  const auto device = backend->allocate(program.arenas[0]), host = backend->allocate(program.arenas[1]);
  Memory* const memories[] = {device.get(), host.get()};
  const auto executable = backend->load(program, memories);
  const std::vector<double> seconds = executable->profile(Range::micro_step);
  REQUIRE(seconds.size() == program.range(Range::micro_step).size());
  CHECK(seconds[0] > 0);
  CHECK(*std::max_element(seconds.begin(), seconds.end()) < 10);
}

TEST_CASE("the target's limits are refused beyond, by name, on vulkan") {
  const auto backend = vulkan_backend().open(0);
  const Target& target = backend->target();
  CHECK(target.alignment % 256 == 0);
  CHECK(target.largest_operand > 0);
  const std::string too_large = error_of([&] { backend->allocate(arena(target.largest_arena + 256)); });
  CHECK(contains(too_large, "4: "));
  CHECK(contains(too_large, "arena test"));
  CHECK(contains(error_of([&] { backend->allocate(arena(uint64_t(1) << 50)); }), "4: "));
}

TEST_CASE("an operand larger than a binding is refused at load on vulkan") {
  const auto backend = vulkan_backend().open(0);
  const uint64_t limit = backend->target().largest_operand;
  if (limit * 6 > backend->target().memory_bytes || limit > (uint64_t(1) << 28))
    return;  // a device without tight limits
  const uint32_t count = uint32_t(limit / 4) + 64;
  Program program;
  program.arenas = {arena(limit + 4096)};
  const TensorDesc desc{DType::f32, {count}};
  const Operand losses{desc, {0, 0, desc.bytes()}, Access::read};  // bound as a storage buffer
  const Operand loss{{DType::f32, {1}}, {0, limit + 2048, 4}, Access::read_write};
  program.ranges[size_t(Range::update)] = {
      {Queue::compute, Dispatch{OpId::loss_sum, Parameters(abi::LossSum{count}), {losses, loss}}, "layer 3 sum"}};
  const auto memory = backend->allocate(program.arenas[0]);
  Memory* const memories[] = {memory.get()};
  const std::string error = error_of([&] { backend->load(program, memories); });
  CHECK(contains(error, "4: "));
  CHECK(contains(error, "layer 3 sum"));
  CHECK(contains(error, "of loss_sum"));
}

// Mesa's software device leaves the loops of an invocation after 65535 turns, without a word.
TEST_CASE("loops longer than a software device's are refused at load on vulkan") {
  if (vulkan_backend().devices().devices.at(0).kind != DeviceInfo::Kind::software) return;
  const auto backend = vulkan_backend().open(0);
  const uint32_t longest = 64 * (65535 - 9);  // 64 invocations add up the losses
  const uint64_t loss_at = uint64_t(longest) * 4 + 512;
  const auto memory = backend->allocate(arena(loss_at + 512));
  Memory* const memories[] = {memory.get()};
  const auto load_sum = [&](uint32_t count) {
    const Operand losses{{DType::f32, {count}}, {0, 0, uint64_t(count) * 4}, Access::read};
    const Operand loss{{DType::f32, {1}}, {0, loss_at, 4}, Access::read_write};
    Program program;
    program.arenas = {arena(loss_at + 512)};
    program.ranges[size_t(Range::update)] = {
        {Queue::compute, Dispatch{OpId::loss_sum, Parameters(abi::LossSum{count}), {losses, loss}}, "step's losses"}};
    return backend->load(program, memories);
  };
  const auto executable = load_sum(longest);
  const std::vector<float> ones(longest, 1), zero(1);
  backend->write(*memory, 0, std::as_bytes(std::span(ones)));
  backend->write(*memory, loss_at, std::as_bytes(std::span(zero)));
  executable->wait(executable->submit(Range::update));
  float sum = 0;
  backend->read(*memory, loss_at, std::as_writable_bytes(std::span(&sum, 1)));
  CHECK(sum == float(longest));

  const std::string error = error_of([&] { load_sum(longest + 64); });
  CHECK(contains(error, "4: "));
  CHECK(contains(error, "step's losses: loss_sum would go 65536 times through loops"));
}

TEST_CASE("dtypes that no shader takes are refused at load on vulkan") {
  const auto backend = vulkan_backend().open(0);
  Program program;
  program.arenas = {arena()};
  program.ranges[0] = {add(0, 1, 2)};
  std::get<Dispatch>(program.ranges[0][0].command).operands[1].desc.dtype = DType::i32;
  const auto memory = backend->allocate(program.arenas[0]);
  Memory* const memories[] = {memory.get()};
  const std::string error = error_of([&] { backend->load(program, memories); });
  CHECK(contains(error, "1: "));
  CHECK(contains(error, "op add takes dtypes f32 i32 f32"));
}

TEST_CASE("devices are listed, and others refused, on vulkan") {
  const DeviceList list = vulkan_backend().devices();
  REQUIRE(!list.devices.empty());
  CHECK(list.missing.empty());
  for (uint32_t i = 0; i < list.devices.size(); ++i) {
    CHECK(list.devices[i].index == i);
    CHECK(list.devices[i].memory_bytes > 0);
    CHECK(!list.devices[i].name.empty());
  }
  const uint32_t count = uint32_t(list.devices.size());
  CHECK(contains(error_of([&] { vulkan_backend().open(count); }), "6: "));
}

// The validation layer must be able to fail a test: a copy onto itself breaks the API's rules.
TEST_CASE("a message of the validation layer is a sticky failure on vulkan") {
  const Variable validation("TANDEM_VULKAN_VALIDATION", "1");
  const auto backend = vulkan_backend().open(0);
  Program program;
  program.arenas = {arena()};
  program.ranges[0] = {{Queue::compute, Copy{slot(0), slot(0)}, ""}};
  const auto memory = backend->allocate(program.arenas[0]);
  Memory* const memories[] = {memory.get()};
  CHECK(contains(error_of([&] { backend->load(program, memories); }), "6: [vulkan] the validation layer says"));
  CHECK(contains(error_of([&] { backend->allocate(arena()); }), "6: "));
}

TEST_CASE("without a driver the reason is told") {
  const Variable drivers("VK_ICD_FILENAMES", "/nonexistent.json");
  const Variable more_drivers("VK_DRIVER_FILES", "/nonexistent.json");
  const DeviceList list = vulkan_backend().devices();
  CHECK(list.devices.empty());
  CHECK(contains(list.missing, "Vulkan"));
  CHECK(contains(error_of([] { vulkan_backend().open(0); }), "6: "));
}

}  // namespace
}  // namespace tandem
