// What every backend does alike, each case on every executor: memory, Programs made by hand of op add, fills, copies
// and their order, and refusals.
#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <tuple>

#include "core/model/normal.h"
#include "tests/backends/by_hand.h"
#include "tests/support/executors.h"

namespace tandem::test {
namespace {

void keeps_bytes(Backend& backend) {
  constexpr uint64_t kBytes = (33 << 20) + 12;  // more than two staging buffers
  for (const ArenaKind kind : {ArenaKind::device, ArenaKind::host}) {
    const auto memory = backend.allocate(arena(kBytes, kind));
    std::vector<uint32_t> out(kBytes / 4), in(kBytes / 4);
    std::iota(out.begin(), out.end(), 7u);
    backend.write(*memory, 0, std::as_bytes(std::span(out)));
    backend.read(*memory, 0, std::as_writable_bytes(std::span(in)));
    CHECK(in == out);

    std::vector<std::byte> part(5);
    const uint64_t at = 4 * 1000 + 1;
    backend.read(*memory, at, part);
    CHECK(std::memcmp(part.data(), reinterpret_cast<const char*>(out.data()) + at, part.size()) == 0);
    for (const uint64_t outside : {kBytes - 4, kBytes + 1, ~uint64_t{0} - 2}) {
      CHECK(contains(error_of([&] { backend.read(*memory, outside, part); }), "1: "));
      CHECK(contains(error_of([&] { backend.write(*memory, outside, part); }), "1: "));
    }
  }
}

// Reads behind writes that nothing waited for, of pieces that take turns in the staging buffers.
void reads_follow_writes(Backend& backend) {
  constexpr uint64_t kBytes = 20 << 20;
  const auto memory = backend.allocate(arena(kBytes));
  for (uint32_t round = 1; round <= 4; ++round) {
    const std::vector<uint32_t> out(kBytes / 4, round);
    std::vector<uint32_t> in(kBytes / 4);
    backend.write(*memory, 0, std::as_bytes(std::span(out)));
    backend.read(*memory, 0, std::as_writable_bytes(std::span(in)));
    CHECK(in == out);
  }
}

// y = (a + b) + a, a copy of it, and a fill, with the order that they need; the range begin runs first.
Program sample() {
  Program program;
  program.arenas = {arena(), arena(kArenaBytes, ArenaKind::host)};
  program.ranges[size_t(Range::begin)] = {{Queue::compute, Fill{slot(1, 1)}, "clear"}};
  program.ranges[size_t(Range::micro_step)] = {
      add(0, 1, 2),
      {Queue::compute, Barrier{}, ""},
      add(2, 0, 3),
      {Queue::compute, Signal{0}, ""},
      {Queue::out, Wait{0}, ""},
      {Queue::out, Copy{slot(3), slot(0, 1)}, "report"},
      {Queue::out, Signal{1}, ""},
      {Queue::compute, Wait{1}, ""},
      {Queue::compute, Fill{slot(2)}, "clear"},
  };
  return program;
}

void runs_a_program(Backend& backend) {
  const Loaded loaded(backend, sample());
  Memory &device = loaded.memory(0), &host = loaded.memory(1);
  write(backend, host, 1, counting(1));
  loaded.executable->submit(Range::begin);

  const std::vector<float> a = counting(0.25f), b = counting(-3);
  std::vector<float> expected(kCount);
  for (size_t i = 0; i < kCount; ++i) expected[i] = a[i] + b[i] + a[i];
  for (int run = 0; run < 3; ++run) {
    write(backend, device, 0, a);
    write(backend, device, 1, b);
    loaded.executable->wait(loaded.executable->submit(Range::micro_step));
    CHECK(read(backend, device, 3) == expected);
    CHECK(read(backend, host, 0) == expected);
    CHECK(read(backend, device, 2) == std::vector<float>(kCount));
  }
  CHECK(read(backend, host, 1) == std::vector<float>(kCount));
}

// y starts at 0 and takes y + b once a run: a lost order between runs loses a sum.
void submissions_are_ordered(Backend& backend) {
  Program program;
  program.arenas = {arena()};
  program.ranges[size_t(Range::begin)] = {{Queue::compute, Fill{slot(2)}, ""}};
  program.ranges[size_t(Range::micro_step)] = {
      add(2, 1, 3), {Queue::compute, Barrier{}, ""}, {Queue::compute, Copy{slot(3), slot(2)}, ""}};
  const Loaded loaded(backend, program);
  write(backend, loaded.memory(0), 1, counting(1));
  loaded.executable->submit(Range::begin);
  std::vector<Timepoint> timepoints;
  for (int run = 0; run < 20; ++run) timepoints.push_back(loaded.executable->submit(Range::micro_step));
  for (size_t i = 1; i < timepoints.size(); ++i) CHECK(timepoints[i].value > timepoints[i - 1].value);
  loaded.executable->wait(timepoints[3]);
  loaded.executable->wait(timepoints.back());
  std::vector<float> expected = counting(1);
  for (float& value : expected) value *= 20;
  CHECK(read(backend, loaded.memory(0), 2) == expected);
}

// y = 0 in the first micro-step, y += a in each, y += b in later ones, z = y in the last.
Program of_turns() {
  Program program;
  program.arenas = {arena(), arena(kArenaBytes, ArenaKind::host)};
  const auto when = [](Instruction instruction, When runs) {
    instruction.when = runs;
    return instruction;
  };
  const Instruction barrier{Queue::compute, Barrier{}, ""}, keep{Queue::compute, Copy{slot(3), slot(2)}, "keep"};
  program.ranges[size_t(Range::micro_step)] = {when({Queue::compute, Fill{slot(2)}, "clear"}, When::first),
                                               barrier,
                                               when(add(2, 1, 3), When::later),
                                               barrier,
                                               when(keep, When::later),
                                               barrier,
                                               add(2, 0, 3),
                                               barrier,
                                               keep,
                                               barrier,
                                               when({Queue::compute, Copy{slot(2), slot(0, 1)}, "result"}, When::last)};
  program.schedule = schedule_of(program, 4);
  return program;
}

void instructions_run_in_their_turns(Backend& backend) {
  const Program program = of_turns();
  const Loaded loaded(backend, program);
  const std::vector<float> a = counting(0.25f), b = counting(-3), none(kCount, -1.0f);
  write(backend, loaded.memory(0), 0, a);
  write(backend, loaded.memory(0), 1, b);
  std::vector<float> expected(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    expected[i] = a[i];
    for (int later = 0; later < 3; ++later) expected[i] = expected[i] + b[i] + a[i];
  }
  for (int step = 0; step < 2; ++step) {
    write(backend, loaded.memory(1), 0, none);
    Timepoint done;
    for (const Turns& turns : program.schedule)
      for (uint32_t k = 0; k < turns.times; ++k) {
        loaded.executable->wait(done);
        CHECK(read(backend, loaded.memory(1), 0) == none);
        done = loaded.executable->submit(turns.turn);
      }
    loaded.executable->wait(done);
    CHECK(read(backend, loaded.memory(1), 0) == expected);
  }
  const std::vector<Interval> ran = loaded.executable->profile(Turn(Range::micro_step, true, false));
  if (ran.empty()) return;
  CHECK(ran.size() == program.range(Range::micro_step).size());
  CHECK(read(backend, loaded.memory(0), 2) == a);
}

void ranges_without_instructions_run(Backend& backend) {
  Program program;
  program.arenas = {arena()};
  const Loaded loaded(backend, program);
  const Timepoint first = loaded.executable->submit(Range::update), second = loaded.executable->submit(Range::update);
  CHECK(second.value > first.value);
  loaded.executable->wait(second);
}

// All instructions, or none where the device cannot tell.
void profiles_each_instruction(Backend& backend) {
  const Program program = sample();
  const Loaded loaded(backend, program);
  const std::vector<Instruction>& code = program.range(Range::micro_step);
  const std::vector<Interval> ran = loaded.executable->profile(Range::micro_step);
  if (ran.empty()) return;
  REQUIRE(ran.size() == code.size());
  CHECK(ran[0].seconds() > 0);
  std::map<Queue, double> ends;  // by queue: of the instruction before
  for (size_t i = 0; i < code.size(); ++i) {
    if (ran[i].seconds() == 0) continue;
    double& end = ends[queue_for(code[i].queue, backend.target().queues)];
    CHECK(ran[i].start == end);
    CHECK(ran[i].end > ran[i].start);
    CHECK(ran[i].end < 10);
    end = ran[i].end;
  }
}

void refuses_too_much_memory(Backend& backend) {
  const Target& target = backend.target();
  CHECK(target.alignment % 256 == 0);
  CHECK(target.largest_operand > 0);
  for (const uint64_t bytes : {target.largest_arena + 256, uint64_t(1) << 50}) {
    const std::string error = error_of([&] { backend.allocate(arena(bytes)); });
    CHECK(contains(error, "4: "));
    CHECK(contains(error, "arena test"));
    CHECK(contains(error, std::to_string(bytes)));
  }
}

void refuses_wrong_memories(Backend& backend) {
  const Program program = sample();
  const auto device = backend.allocate(program.arenas[0]), small = backend.allocate(arena(kStride));
  Memory* const too_few[] = {device.get()};
  CHECK(contains(error_of([&] { backend.load(program, too_few); }), "1: "));
  Memory* const too_small[] = {device.get(), small.get()};
  CHECK(contains(error_of([&] { backend.load(program, too_small); }), "1: "));
}

void refuses_dtypes_without_a_kernel(Backend& backend) {
  Program program;
  program.arenas = {arena()};
  program.ranges[0] = {add(0, 1, 2)};
  std::get<Dispatch>(program.ranges[0][0].command).operands[0].desc.dtype = DType::i32;
  const std::string error = error_of([&] {
    const Loaded loaded(backend, program);
    loaded.executable->wait(loaded.executable->submit(Range(0)));
  });
  CHECK(contains(error, "1: "));
  CHECK(contains(error, "add"));
}

// Each value, of an element wherever it lies, is the one that the host draws.
void draws_as_the_host_does(Backend& backend, bool draws) {
  constexpr uint64_t kBytes = 1 << 20;
  for (const ArenaKind kind : {ArenaKind::device, ArenaKind::host})
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const auto& [first, count, offset] : {std::tuple<uint64_t, uint64_t, uint64_t>{0, 100'000, 256},
                                                 {8'000'000'000, 8, 0},
                                                 {13, 7001, 4},
                                                 {6, 1, 8},
                                                 {7, 3, 16}}) {
        const abi::NormalDraw values{0x123456789abcdef0, 77, 4, 0.02, first, count};
        const uint64_t bytes = count * size_of(dtype);
        const std::vector<std::byte> before(kBytes, std::byte{0x5a});
        std::vector<std::byte> expected = before, found(kBytes);
        const auto memory = backend.allocate(arena(kBytes, kind));
        backend.write(*memory, 0, before);
        REQUIRE(backend.draw(*memory, offset, values, dtype) == draws);
        if (!draws) return;
        if (dtype == DType::f32) draw_normal(values, {reinterpret_cast<float*>(&expected[offset]), count});
        else draw_normal(values, {reinterpret_cast<uint16_t*>(&expected[offset]), count});
        backend.read(*memory, 0, found);
        CHECK(found == expected);
        CHECK(contains(error_of([&] { backend.draw(*memory, kBytes - bytes + 1, values, dtype); }), "1: "));
      }
}

void lists_its_devices(Backend& backend, std::string_view name) {
  const std::vector<BackendFactory> factories = test_backends();
  const BackendFactory& factory = *std::ranges::find(factories, name, &BackendFactory::name);
  const DeviceList list = factory.devices();
  REQUIRE(!list.devices.empty());
  CHECK(list.missing.empty());
  CHECK(backend.target().memory_bytes > 0);
  for (uint32_t i = 0; i < list.devices.size(); ++i) {
    CHECK(list.devices[i].backend == factory.name);
    CHECK(list.devices[i].memory_bytes > 0);
    CHECK(!list.devices[i].name.empty());
  }
  CHECK(contains(error_of([&] { factory.open(list.devices.back().index + 1); }), "6: "));
}

}  // namespace

ON_EXECUTORS("memory keeps what is written", keeps_bytes)
ON_EXECUTORS("what is read follows what was written", reads_follow_writes)
ON_EXECUTORS("a program of adds, fills, copies and their order", runs_a_program)
ON_EXECUTORS("submissions run in order without waits between them", submissions_are_ordered)
ON_EXECUTORS("instructions run in their turns", instructions_run_in_their_turns)
ON_EXECUTORS("ranges without instructions are submitted and end", ranges_without_instructions_run)
ON_EXECUTORS("a profile gives every instruction its time", profiles_each_instruction)
ON_EXECUTORS("more memory than there is is refused, by name,", refuses_too_much_memory)
ON_EXECUTORS("memories that are not the program's are refused", refuses_wrong_memories)
TANDEM_ON("host", "values are drawn as the host draws them", draws_as_the_host_does, false)
TANDEM_ON("cuda_host", "values are drawn as the host draws them", draws_as_the_host_does, true)
TANDEM_ON_VULKAN("values are drawn as the host draws them", draws_as_the_host_does, false)
TANDEM_ON_CUDA("values are drawn as the host draws them", draws_as_the_host_does, true)
TANDEM_ON("cuda_host", "dtypes that no kernel takes are refused", refuses_dtypes_without_a_kernel)
TANDEM_ON_VULKAN("dtypes that no kernel takes are refused", refuses_dtypes_without_a_kernel)
TANDEM_ON_CUDA("dtypes that no kernel takes are refused", refuses_dtypes_without_a_kernel)
TANDEM_ON_VULKAN("devices are listed, and others refused,", lists_its_devices, "vulkan")
TANDEM_ON_CUDA("devices are listed, and others refused,", lists_its_devices, "cuda")

}  // namespace tandem::test
