#include <map>

#include "core/rates/cost_model.h"

#include <doctest/doctest.h>

#include "core/abi/add.h"
#include "core/abi/attention.h"
#include "core/abi/gemm.h"
#include "core/abi/muon_momentum.h"
#include "core/abi/transpose.h"

using namespace tandem;

namespace {

Rates rates() {
  Rates r;
  r.e4m3 = 200e12;
  r.bf16 = 100e12;
  r.f32 = 20e12;
  r.attention = 50e12;
  r.multiprocessors = 100;
  r.bandwidth = 1e12;
  r.host_to_device = 20e9;
  r.device_to_host = 10e9;
  r.launch_seconds = 1e-6;
  return r;
}

// c (m, n) = a (m, k) b (n, k)^T
InstructionCost product(DType dtype, uint64_t m, uint64_t n, uint64_t k, const Rates& r) {
  const TensorDesc scale = dtype == DType::e4m3 ? TensorDesc{DType::f32, {1}} : TensorDesc{};
  const Descs inputs{{dtype, {m, k}}, {dtype, {n, k}}, {}, scale, scale};
  Parameters p(abi::Gemm{.form = abi::kGemmNt});
  const Signature s = op_of(OpId::gemm).infer(inputs, p);
  Descs operands = inputs;
  operands.push_back(s.outputs[0]);
  return cost_of(OpId::gemm, p, operands, r);
}

// Arena 0 on the device, 1 on the host.
Program two_arenas() {
  Program p;
  p.arenas = {{"device", ArenaKind::device, 1 << 30}, {"host", ArenaKind::host, 1 << 30}};
  return p;
}
constexpr uint64_t kBytes = 200 << 20;
const BufferRef kDevice{0, 0, kBytes}, kHost{1, 0, kBytes}, kElsewhere{0, 512 << 20, kBytes};

void push(Program& p, Queue queue, Command command) {
  p.ranges[size_t(Range::micro_step)].push_back({queue, std::move(command), {}});
}

// x (4096, 4096) f32 + y -> z, its operands in the arena
Command add_in(uint32_t arena) {
  const TensorDesc x{DType::f32, {4096, 4096}};
  const BufferRef device{0, 0, x.bytes()}, there{arena, 0, x.bytes()};
  return Dispatch{OpId::add,
                  Parameters(abi::Add{}),
                  {{x, there, Access::read}, {x, device, Access::read}, {x, device, Access::write}}};
}

}  // namespace

TEST_CASE("cost of a product: FLOPs at the dtype's rate when it is large, bytes when it is thin") {
  const InstructionCost large = product(DType::e4m3, 25600, 12800, 8192, rates());  // 100 tiles each way: full rounds
  CHECK(large.kind == CostKind::gemm_e4m3);
  CHECK(large.flops == uint64_t(2) * 25600 * 12800 * 8192);
  CHECK(large.seconds == doctest::Approx(double(large.flops) / 200e12 + 1e-6));
  CHECK(large.floor == doctest::Approx(double(large.flops) / 200e12));
  CHECK(product(DType::bf16, 25600, 12800, 8192, rates()).seconds == doctest::Approx(2 * large.seconds).epsilon(0.01));

  const InstructionCost thin = product(DType::bf16, 16, 12800, 12800, rates());
  const double bytes = 2.0 * (16.0 * 12800 + 12800.0 * 12800 + 16 * 12800);
  CHECK(thin.floor == doctest::Approx(bytes / 0.9e12));
  CHECK(thin.bytes == uint64_t(bytes));
}

TEST_CASE("cost of an update that reads the host's memory: no more crosses the link than one stored tensor's bytes") {
  const TensorDesc whole{DType::f32, {64, 64}}, words{DType::u32, {16}}, part{DType::f32, {16, 64}};
  const auto at = [](uint32_t arena, const TensorDesc& desc) { return BufferRef{arena, 0, desc.bytes()}; };
  Program p = two_arenas();
  push(p, Queue::compute,
       Dispatch{OpId::muon_momentum,
                Parameters(abi::MuonMomentum{.first = 512, .rows = 16, .columns = 64, .wide = 1}),
                {{whole, at(1, whole), Access::read},
                 {words, at(0, words), Access::read},
                 {part, at(0, part), Access::write},
                 {whole, at(1, whole), Access::read_write}}});
  const double moved = 4 * double(part.bytes());  // gradient and m read, u and m written
  CHECK(cost_of(p, Range::micro_step, rates()).link_in() == doctest::Approx(moved / 20e9));
}

TEST_CASE("cost of a product: one tile more than the multiprocessors takes another round") {
  Rates r = rates();
  r.launch_seconds = 0;
  r.multiprocessors = 16;
  const auto seconds = [&](uint64_t m) { return product(DType::e4m3, m, 256, 256, r).seconds; };
  const double full = seconds(2048);  // 16 tiles of 256 x 128
  CHECK(seconds(2049) > 1.1 * full);  // though its work is the same
  CHECK(seconds(4096) == doctest::Approx(2 * full));
  CHECK(product(DType::e4m3, 2048, 256, 256, r).floor * 1.001 < seconds(2049));
}

TEST_CASE("cost of a product: a long inner dimension is split where tiles are few") {
  Rates r = rates();
  r.launch_seconds = 0;
  const InstructionCost few = product(DType::bf16, 256, 256, 65536, r);
  CHECK(few.seconds <
        10 * few.floor);  // unsplit, two large tiles on 100 multiprocessors would take 50 times, small ones 9
  CHECK(few.seconds > few.floor);
}

TEST_CASE("cost of a range: queues run side by side, waits hold, exposed copies are told") {
  Program p = two_arenas();
  const double copy = kBytes / 20e9 + 1e-6, add = 3 * 4.0 * 4096 * 4096 / 0.9e12 + 1e-6;
  push(p, Queue::in, Copy{kHost, kElsewhere});
  push(p, Queue::in, Signal{0});
  push(p, Queue::compute, add_in(0));
  ProgramCost cost = cost_of(p, Range::micro_step, rates());
  CHECK(cost.seconds == doctest::Approx(std::max(copy, add)));
  push(p, Queue::compute, Wait{0});
  push(p, Queue::compute, add_in(0));
  cost = cost_of(p, Range::micro_step, rates());
  CHECK(cost.seconds == doctest::Approx(copy + add));
  CHECK(cost.exposed_copy == doctest::Approx(copy - add));
  CHECK(cost.of(CostKind::copy).seconds == doctest::Approx(copy));
  CHECK(cost.of(CostKind::memory).instructions == 2);
  CHECK(cost.floor() == doctest::Approx(2 * (add - 1e-6)));

  Program alone = two_arenas();  // one queue: nothing is hidden
  push(alone, Queue::compute, Copy{kDevice, kHost});
  push(alone, Queue::compute, add_in(0));
  CHECK(cost_of(alone, Range::micro_step, rates()).exposed_copy == doctest::Approx(kBytes / 10e9 + 1e-6));
}

TEST_CASE("cost of a dispatch: operands on the host come over the link") {
  Program p = two_arenas();
  push(p, Queue::compute, add_in(1));
  CHECK(cost_of(p, Range::micro_step, rates()).seconds == doctest::Approx(4.0 * 4096 * 4096 / 20e9));
  Rates r = rates();
  r.zero_copy = 5e9;
  CHECK(cost_of(p, Range::micro_step, r).seconds == doctest::Approx(4.0 * 4096 * 4096 / 5e9));
}

TEST_CASE("cost of a range: a copy and a dispatch that reads host memory share the link") {
  Program p = two_arenas();
  push(p, Queue::compute, add_in(1));
  push(p, Queue::in, Copy{kHost, kElsewhere});
  const ProgramCost cost = cost_of(p, Range::micro_step, rates());
  const double dispatch = 4.0 * 4096 * 4096 / 20e9, copy = kBytes / 20e9 + 1e-6;
  CHECK(cost.seconds == doctest::Approx(dispatch + copy));
  CHECK(cost.exposed_copy == doctest::Approx(copy));
}

TEST_CASE("cost of a range: its forward and its backward pass are told apart") {
  Program p = two_arenas();
  push(p, Queue::in, Copy{kHost, kElsewhere});
  push(p, Queue::compute, add_in(0));
  push(p, Queue::out, Copy{kElsewhere, kHost});
  push(p, Queue::compute, add_in(0));
  push(p, Queue::compute, add_in(0));
  std::vector<Instruction>& code = p.ranges[size_t(Range::micro_step)];
  for (size_t i = 2; i < code.size(); ++i) code[i].backward = true;
  const ProgramCost cost = cost_of(p, Range::micro_step, rates());
  const ProgramCost::Busy &forward = cost.passes[0], &backward = cost.passes[1];
  CHECK(forward.in == doctest::Approx(kBytes / 20e9 + 1e-6));
  CHECK(forward.out == 0);
  CHECK(backward.in == 0);
  CHECK(backward.out == doctest::Approx(kBytes / 10e9 + 1e-6));
  CHECK(forward.compute == doctest::Approx(cost.of(CostKind::memory).seconds / 3));
  CHECK(backward.compute == doctest::Approx(2 * forward.compute));
}

TEST_CASE("cost of a step: begin and update once, micro_step as often as it accumulates") {
  Program p = two_arenas();
  for (Range range : {Range::begin, Range::micro_step, Range::update, Range::evaluate})
    p.ranges[size_t(range)].push_back({Queue::compute, add_in(0), {}});
  const double one = cost_of(p, Range::begin, rates()).seconds;
  p.schedule = schedule_of(p, 5);
  const ProgramCost step = cost_of_step(p, rates());
  CHECK(step.seconds == doctest::Approx(7 * one));
  CHECK(step.of(CostKind::memory).instructions == 7);
  CHECK(step.flops() == uint64_t(7) * 4096 * 4096);
}

TEST_CASE(
    "cost of a step: what the first or the last micro-step alone runs counts once, what later ones run less once") {
  Program p = two_arenas();
  for (const When when : {When::each, When::first, When::later, When::last})
    p.ranges[size_t(Range::micro_step)].push_back({Queue::compute, add_in(0), {}, when});
  for (const auto& [accumulation, times] : std::map<uint32_t, uint64_t>{{1, 3}, {2, 5}, {5, 11}}) {
    p.schedule = schedule_of(p, accumulation);
    CHECK(cost_of_step(p, rates()).of(CostKind::memory).instructions == times);
  }
}

TEST_CASE("cost of a product: where shares were measured, that of its size, between two by the logarithm") {
  Rates r = rates();
  r.products = {{256, 0.1, 0.2, 0.3}, {1024, 0.5, 0.6, 1.0}};
  const auto reached = [&](DType dtype, uint64_t m, uint64_t n, uint64_t k) {
    const InstructionCost cost = product(dtype, m, n, k, r);
    return double(cost.flops) / (cost.seconds - r.launch_seconds);
  };
  r.bandwidth = 1e15;  // FLOPs alone
  CHECK(reached(DType::bf16, 1024, 1024, 1024) == doctest::Approx(0.6 * 100e12));
  CHECK(reached(DType::bf16, 512, 2048, 1024) == doctest::Approx(0.6 * 100e12));
  CHECK(reached(DType::bf16, 512, 512, 512) == doctest::Approx(0.4 * 100e12));
  CHECK(reached(DType::e4m3, 512, 512, 512) == doctest::Approx(0.3 * 200e12));
  CHECK(reached(DType::f32, 64, 64, 64) == doctest::Approx(0.3 * 20e12));
  CHECK(reached(DType::f32, 4096, 4096, 4096) == doctest::Approx(20e12));
}

TEST_CASE("cost of attention: with narrow heads at the rate of these, where it was measured") {
  const auto seconds = [](uint32_t head_dim, const Rates& r) {
    constexpr uint32_t kHeads = 16, kLength = 1024;
    const Descs inputs{{DType::bf16, {kLength, 3 * kHeads * head_dim}}, {DType::i32, {kLength}}};
    Parameters p(abi::Attention{
        .sequence_length = kLength, .q_heads = kHeads, .kv_heads = kHeads, .head_dim = head_dim, .scale = 1});
    Descs operands = inputs;
    for (const TensorDesc& output : op_of(OpId::attention).infer(inputs, p).outputs) operands.push_back(output);
    return cost_of(OpId::attention, p, operands, r).seconds - r.launch_seconds;
  };
  Rates r = rates();
  r.bandwidth = 1e15;  // FLOPs alone
  CHECK(seconds(128, r) == doctest::Approx(2 * seconds(64, r)));
  r.narrow_attention = r.attention / 2;
  CHECK(seconds(128, r) == doctest::Approx(seconds(64, r)));
}

TEST_CASE("cost of a pass: with e4m3 codes at the rate of these, where it was measured") {
  const auto seconds = [](bool codes, const Rates& r) {
    const TensorDesc x{DType::bf16, {1024, 1024}}, q{DType::e4m3, {1024, 1024}};
    const Descs operands = codes ? Descs{q, q} : Descs{x, x, x};
    const Parameters p = codes ? Parameters(abi::Transpose{}) : Parameters(abi::Add{});
    return cost_of(codes ? OpId::transpose : OpId::add, p, operands, r).seconds - r.launch_seconds;
  };
  Rates r = rates();
  const double codes = seconds(true, r), none = seconds(false, r);
  r.quantize = r.passes / 2;
  CHECK(seconds(true, r) == doctest::Approx(2 * codes));
  CHECK(seconds(false, r) == doctest::Approx(none));
}

TEST_CASE("cost of an exchange: ranks that do not reach each other's memory share the link with copies to the host") {
  Program p = two_arenas();
  p.ranks = 2;
  push(p, Queue::exchange, Collective{CollectiveKind::all_gather, {{kDevice}}, {{kElsewhere}}});
  push(p, Queue::in, Copy{kHost, kDevice});
  Rates r = rates();
  r.links = {.all_gather = 20e9, .all_to_all = 20e9};
  const double copy = double(kBytes) / r.host_to_device, exchange = double(kBytes) / 2 / 20e9;
  CHECK(cost_of(p, {Range::micro_step}, r).seconds == doctest::Approx(copy + exchange).epsilon(1e-3));
  r.links = {.all_gather = 200e9, .all_to_all = 200e9};
  CHECK(cost_of(p, {Range::micro_step}, r).seconds == doctest::Approx(copy).epsilon(1e-3));
}
