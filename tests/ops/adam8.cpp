// 200 steps of adamw_8bit on a matrix beside torch.optim.AdamW and bitsandbytes' AdamW8bit, by the numbers that
// tests/reference/adam8.py made of the same gradients.
#include <cmath>

#include "core/abi/adamw_8bit.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

constexpr uint64_t kRows = 32, kColumns = 256, kCount = kRows * kColumns, kSteps = 200;

// adam8.py's unit, start, draw and gradient
double unit(uint64_t i) {
  uint64_t x = (i + 1) * 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return double((x ^ (x >> 31)) >> 40) / 0x1p24;
}
float start(uint64_t i) {
  return float((unit(i) - 0.5) * 0.125);
}
double draw(uint64_t first, uint64_t i) {
  double sum = -2;
  for (uint64_t k = 0; k < 4; ++k) sum += unit(((first + k) << 32) + i);
  return sum;
}
float gradient(uint64_t step, uint64_t i) {
  const double drift = unit((uint64_t{1} << 60) + i) - 0.5;
  const double row = std::rint(2.5 * draw(1 << 20, i / kColumns)),
               column = std::rint(2.5 * draw(1 << 21, i % kColumns));
  return float((draw(1 + 4 * step, i) + drift) * std::exp2(row + column - 4));
}

Filler numbers(std::function<float(uint64_t)> value) {
  return [=](Tensor& x, Random&) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, double(value(i)));
  };
}

// as a case overwrites it, for the next step
Input as_input(const Buffer& x) {
  return {x.desc, [x](Tensor& t, Random&) {
            Buffer from = x;
            for (uint64_t i = 0; i < t.size(); ++i) t.set_bits(i, from.view().bits(i));
          }};
}

Input update_of(uint64_t step, double beta2) {
  const double t = double(step + 1), correction1 = 1 - std::pow(0.9, t), correction2 = 1 - std::pow(beta2, t);
  return in(DType::u32, {16},
            words({abi::float_bits(1e-3f), abi::float_bits(1.0f), abi::float_bits(float(correction1)),
                   abi::float_bits(float(std::sqrt(correction2))), 0, uint32_t(step), 1}));
}

// masters after the steps
std::vector<double> train(Backend& backend, double beta2) {
  abi::Adamw8bit p{.beta1 = 0.9f,
                   .beta2 = float(beta2),
                   .one_minus_beta1 = float(1 - 0.9),
                   .one_minus_beta2 = float(1 - beta2),
                   .epsilon = 1e-8f};
  p.decay = 0.1f;
  p.segments.count = 1;
  const Shape shape{kRows, kColumns}, scales{kRows, kColumns / 128};
  std::vector<Input> state{in(DType::bf16, shape, numbers(start)), in(DType::e4m3, shape, words({})),
                           in(DType::u8, scales, zeros()),         in(DType::e5m3, shape, words({})),
                           in(DType::u8, scales, zeros()),         in(DType::f32, shape, numbers(start))};
  for (uint64_t step = 0; step < kSteps; ++step) {
    std::vector<Input> inputs{in(DType::f32, shape, numbers([step](uint64_t i) { return gradient(step, i); })),
                              update_of(step, beta2)};
    inputs.insert(inputs.end(), state.begin(), state.end());
    const auto operands = run_case(OpId::adamw_8bit, {"adam8", Parameters(p), std::move(inputs), {}}, backend);
    for (size_t i = 0; i < state.size(); ++i) state[i] = as_input(operands[i + 2]);
  }
  Buffer master = make_buffer({DType::f32, shape});
  Random random("");
  Tensor view = master.view();
  state.back().fill(view, random);
  std::vector<double> values(kCount);
  for (uint64_t i = 0; i < kCount; ++i) values[i] = view.get(i);
  return values;
}

std::string reference_path(const std::string& name) {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  REQUIRE(root != nullptr);
  return fmt::format("{}/tests/reference/{}", root, name);
}

void check_distance(Backend& backend) {
  const std::string path = reference_path("adam8.json");
  const Json distances = parse_json(read_text(path), path);
  for (const char* beta2 : {"0.95", "0.999"}) {
    const MappedFile file(reference_path(fmt::format("adam8-{}.f32", beta2)));
    REQUIRE(file.bytes().size() == kCount * sizeof(float));
    const std::vector<double> values = train(backend, std::stod(beta2));
    double square = 0;
    for (uint64_t i = 0; i < kCount; ++i) {
      float wanted = 0;
      std::memcpy(&wanted, file.bytes().data() + i * sizeof(float), sizeof(float));
      square += std::pow(values[i] - double(wanted), 2);
    }
    const double distance = std::sqrt(square), theirs = distances[beta2]["bitsandbytes"].get<double>();
    MESSAGE("beta2 ", std::string(beta2), ": ", distance, " from torch, bitsandbytes ", theirs, ", moved by ",
            distances[beta2]["moved"].get<double>());
    CHECK(distance > 0);
    CHECK(distance <= 1.5 * theirs);
  }
}

ON_EXECUTORS("8-bit states stay as near to AdamW as bitsandbytes' do", check_distance)

}  // namespace
}  // namespace tandem::test
