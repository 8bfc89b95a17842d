// What a device can do at most, through the same backend as training: a large copy, large matrix products, attention.
// Prints one figure a line.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/abi/attention.h"
#include "core/abi/gemm.h"
#include "core/abi/numeric.h"
#include "core/runtime/profile.h"
#include "tests/bench/bench.h"

using namespace tandem;

namespace {

// operands side by side in one arena, filled with N(0, 1)-like random bits of their dtype
class OneDispatch {
 public:
  OneDispatch(Backend& backend, OpId op, Parameters parameters, const Descs& inputs) {
    const Signature signature = op_of(op).infer(inputs, parameters);
    Dispatch dispatch{op, parameters, {}};
    for (size_t i = 0; i + signature.in_place < inputs.size(); ++i)
      dispatch.operands.push_back({inputs[i], {}, Access::read});
    for (const TensorDesc& d : signature.outputs) dispatch.operands.push_back({d, {}, Access::write});
    Program program;
    uint64_t bytes = 0;
    for (Operand& o : dispatch.operands) {
      o.buffer = {0, bytes, o.desc.bytes()};
      bytes += (o.desc.bytes() + 255) / 256 * 256;
    }
    Descs descs;
    for (const Operand& o : dispatch.operands) descs.push_back(o.desc);
    cost_ = op_of(op).cost(parameters, descs);
    program.arenas = {{"operands", ArenaKind::device, bytes}};
    program.ranges[size_t(Range::evaluate)].push_back({Queue::compute, dispatch, {}});
    session_ = std::make_unique<Session>(backend, program);
    for (const Operand& o : dispatch.operands)
      if (o.access == Access::read && o.desc.dtype != DType::none) fill(o);
  }

  // the fastest of some runs
  double seconds() {
    double best = 1e9;
    for (int i = 0; i < 8; ++i) best = std::min(best, session_->executable().profile(Range::evaluate).at(0).seconds());
    return best;
  }
  const Cost& cost() const { return cost_; }

 private:
  void fill(const Operand& o) {
    std::vector<std::byte> bytes(o.buffer.bytes);
    const uint64_t size = size_of(o.desc.dtype);
    for (uint64_t i = 0; i < o.desc.shape.count(); ++i) {
      const uint32_t word = uint32_t(i) * 2654435761u ^ uint32_t(i >> 7) * 40503u;
      const float x = (float(word & 0xffff) + float(word >> 16)) / 65536.0f - 1.0f;
      uint32_t code = abi::float_bits(x);
      if (o.desc.dtype == DType::bf16) code = abi::bf16_from_f32(x);
      if (o.desc.dtype == DType::e4m3) code = abi::e4m3_from_f32(x);
      if (o.desc.dtype == DType::i32) code = uint32_t(i % sequence_);
      if (o.desc.shape.count() == 1) code = abi::float_bits(1.0f);
      std::memcpy(bytes.data() + i * size, &code, size);
    }
    session_->write(o.buffer, bytes);
  }

  static constexpr uint64_t sequence_ = 1024;
  Cost cost_;
  std::unique_ptr<Session> session_;
};

void copy(Backend& backend, uint64_t bytes) {
  const CopySpec within{ArenaKind::device, ArenaKind::device};
  fmt::print("copy_gb_per_second {:.1f}\n", 2 * double(bytes) / time_copies(backend, {&within, 1}, bytes, 1) * 1e-9);
}

void gemm(Backend& backend, DType dtype, uint64_t size) {
  const bool fp8 = dtype == DType::e4m3;
  const TensorDesc matrix{dtype, {size, size}}, scale = fp8 ? TensorDesc{DType::f32, {1}} : TensorDesc{};
  abi::Gemm p{};
  OneDispatch one(backend, OpId::gemm, Parameters(p), {matrix, matrix, {}, scale, scale});
  fmt::print("gemm_{}_{}_tflop_per_second {:.1f}\n", name_of(dtype), size,
             double(one.cost().flops) / one.seconds() * 1e-12);
}

void attention(Backend& backend, uint32_t batch, uint32_t head_dim, uint32_t q_heads, uint32_t kv_heads) {
  constexpr uint32_t kLength = 1024;
  const abi::Attention p{batch, kLength, q_heads, kv_heads, head_dim, 1.0f / std::sqrt(float(head_dim))};
  const uint64_t rows = uint64_t(batch) * kLength;
  OneDispatch one(backend, OpId::attention, Parameters(p),
                  {{DType::bf16, {rows, uint64_t(q_heads + 2 * kv_heads) * head_dim}}, {DType::i32, {rows}}});
  fmt::print("attention_d{}_tflop_per_second {:.1f}\n", head_dim, double(one.cost().flops) / one.seconds() * 1e-12);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What a device can do at most", "bench-ceilings");
  std::string name = "auto";
  uint64_t size = 8192, bytes = uint64_t{4} << 30;
  app.add_option("--backend", name, "auto, vulkan, cuda or BACKEND:N");
  app.add_option("--size", size, "of the matrices");
  app.add_option("--bytes", bytes, "of the copy");
  CLI11_PARSE(app, argc, argv);
  return bench::exit_of("bench-ceilings", [&] {
    const Registry registry = bench::backends();
    const DeviceInfo device = registry.choose(name);
    const auto backend = registry.open(device);
    fmt::print("device {}:{} {}\n", device.backend, device.index, device.name);
    copy(*backend, bytes);
    for (DType dtype : {DType::e4m3, DType::bf16, DType::f32}) gemm(*backend, dtype, size);
    attention(*backend, 8, 64, 14, 2);
    attention(*backend, 8, 128, 28, 4);
  });
}
