// What the Vulkan backend alone has: limits of bindings, shaders and loops, layers and drivers. tests/backends has the
// rest.
#include "backends/vulkan/vulkan.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "core/abi/loss_sum.h"
#include "tests/backends/by_hand.h"

namespace tandem {
namespace {

using namespace test;

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
  CHECK(contains(error_of([&] { Loaded(*backend, program); }), "op add takes dtypes f32 i32 f32"));
}

// The validation layer must be able to fail a test: a copy onto itself breaks the API's rules.
TEST_CASE("a message of the validation layer is a sticky failure on vulkan") {
  const Variable validation("TANDEM_VULKAN_VALIDATION", "1");
  const auto backend = vulkan_backend().open(0);
  Program program;
  program.arenas = {arena()};
  program.ranges[0] = {{Queue::compute, Copy{slot(0), slot(0)}, ""}};
  program.schedule = schedule_of(program, 1);
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
