// The references against values worked out by hand: what anchors the cases, in which executors only meet the reference.
#include "core/abi/adamw.h"
#include "core/abi/adamw_corrections.h"
#include "core/abi/attention.h"
#include "core/abi/cross_entropy.h"
#include "core/abi/gemm.h"
#include "core/abi/quantize.h"
#include "core/abi/rank_sum.h"
#include "core/abi/rms_norm.h"
#include "core/abi/rope.h"
#include "core/abi/step_verdict.h"
#include "core/abi/swiglu.h"
#include "tests/support/evaluate.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

constexpr DType kF32 = DType::f32;

doctest::Approx near(double value) {
  return doctest::Approx(value).epsilon(1e-6);
}

Buffer word_buffer(std::vector<uint32_t> values) {
  Buffer b = make_buffer({DType::u32, {16}});
  for (uint64_t i = 0; i < 16; ++i) b.view().set_bits(i, i < values.size() ? values[i] : 0);
  return b;
}

}  // namespace

TEST_CASE("known answer: gemm forms on host") {
  Buffer a = buffer_of(kF32, {2, 2}, {1, 2, 3, 4}), b = buffer_of(kF32, {2, 2}, {5, 6, 7, 8});
  const double wanted[3][4] = {{17, 23, 39, 53}, {19, 22, 43, 50}, {26, 30, 38, 44}};
  for (uint32_t form = 0; form < 3; ++form) {
    abi::Gemm p{};
    p.form = form;
    auto c = evaluate(OpId::gemm, Parameters(p), {a.view(), b.view(), {}, {}, {}});
    for (uint64_t i = 0; i < 4; ++i) CHECK(c[0].view().get(i) == wanted[form][i]);
  }
}

TEST_CASE("known answer: rms_norm on host") {
  Buffer x = buffer_of(kF32, {1, 8}, {3, 4, 0, 0, 0, 0, 0, 0}), w = buffer_of(kF32, {8}, {1, 2, 1, 1, 1, 1, 1, 1});
  abi::RmsNorm p{};
  auto out = evaluate(OpId::rms_norm, Parameters(p), {x.view(), {}, w.view()});
  const double rstd = 1 / std::sqrt(25.0 / 8);
  CHECK(out[2].view().get(0) == near(rstd));
  CHECK(out[1].view().get(0) == near(3 * rstd));
  CHECK(out[1].view().get(1) == near(8 * rstd));
}

TEST_CASE("known answer: rope turns (1, 0) by the angle of its table on host") {
  Buffer positions = buffer_of(DType::i32, {2}, {0, 1});
  Buffer table = buffer_of(kF32, {2, 4, 2}, {1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0.6, 0.8, 1, 0, -1, 0});
  std::vector<double> values(2 * 24);
  for (uint64_t row = 0; row < 2; ++row)
    for (uint64_t head = 0; head < 3; ++head)
      for (uint64_t d = 0; d < 4; ++d) values[row * 24 + head * 8 + d] = 1;
  Buffer x = buffer_of(kF32, {2, 24}, values);
  auto y = evaluate(OpId::rope, Parameters(abi::Rope{0, 1, 1, 8, 0, 0}), {positions.view(), table.view(), x.view()});
  const double turned[8] = {0, 0.6, 1, -1, 1, 0.8, 0, 0};
  for (uint64_t i = 0; i < 8; ++i) {
    CHECK(y[0].view().get(i) == values[i]);                 // position 0
    CHECK(y[0].view().get(24 + i) == near(turned[i]));      // the query head
    CHECK(y[0].view().get(24 + 8 + i) == near(turned[i]));  // the key head
    CHECK(y[0].view().get(24 + 16 + i) == values[16 + i]);  // the value head stays
  }
}

TEST_CASE("known answer: attention with equal keys is the mean of the values it sees on host") {
  std::vector<double> values(4 * 24, 0);
  for (uint64_t row = 0; row < 4; ++row) values[row * 24 + 16] = double(1 << row);
  Buffer qkv = buffer_of(kF32, {4, 24}, values), positions = buffer_of(DType::i32, {4}, {0, 1, 0, 1});
  auto out = evaluate(OpId::attention, Parameters(abi::Attention{0, 4, 1, 1, 8, 0.5f}), {qkv.view(), positions.view()});
  const double mean[] = {1, 1.5, 4, 6};
  for (uint64_t row = 0; row < 4; ++row) {
    CHECK(out[0].view().get(row * 8) == near(mean[row]));
    CHECK(out[1].view().get(row) == near(std::log(row % 2 == 0 ? 1.0 : 2.0)));
  }
}

TEST_CASE("known answer: swiglu on host") {
  std::vector<double> values(16, 0);
  values[0] = 1, values[8] = 2;
  Buffer x = buffer_of(kF32, {1, 16}, values);
  auto y = evaluate(OpId::swiglu, Parameters(abi::Swiglu{}), {x.view()});
  CHECK(y[0].view().get(0) == near(2 * 0.7310585786300049));
}

TEST_CASE("known answer: quantize on host") {
  std::vector<double> values(256, 0);
  values[1] = 7, values[16] = -1;
  Buffer x = buffer_of(DType::bf16, {16, 16}, values), amax = make_buffer({DType::u32, {64}});
  amax.view().set_bits(0, abi::float_bits(7));
  auto out = evaluate(OpId::quantize, Parameters(abi::Quantize{0, 0, 1, 1}), {x.view(), amax.view()});
  CHECK(out[0].view().bits(1) == 0x7e);   // 7 * 64 = 448
  CHECK(out[1].view().bits(16) == 0x7e);  // transposed
  CHECK(out[0].view().bits(16) == 0xe8);  // -64 = -2^6: exponent 13
  CHECK(out[2].view().get(0) == 1.0 / 64);
}

TEST_CASE("known answer: cross-entropy of equal logits is ln V on host") {
  Buffer targets = buffer_of(DType::i32, {2}, {3, -1});
  Buffer scalars = word_buffer({0, abi::float_bits(0.5f)});
  Buffer logits = buffer_of(kF32, {2, 16}, std::vector<double>(32, 2));
  auto out = evaluate(OpId::cross_entropy, Parameters(abi::CrossEntropy{0, 10, 0, 1, 0}),
                      {targets.view(), scalars.view(), logits.view()});
  CHECK(out[1].view().get(0) == near(std::log(10.0)));
  CHECK(out[1].view().get(1) == 0);
  CHECK(out[0].view().get(0) == near(0.05));
  CHECK(out[0].view().get(3) == near(-0.45));
  for (uint64_t i = 10; i < 32; ++i) CHECK(out[0].view().get(i) == 0);  // padding, and a masked row
}

TEST_CASE("known answer: step_verdict on host") {
  Buffer partials = buffer_of(kF32, {2}, {9, 16}), loss = buffer_of(kF32, {1}, {8});
  Buffer scalars = word_buffer({0, abi::float_bits(0.25f), 4, 0, 0, 4}),
         counter = buffer_of(DType::i32, {16}, std::vector<double>(16, 2));
  Buffer updates = make_buffer({DType::u32, {1}}), report = make_buffer({DType::u32, {2, 16}});
  updates.view().set_bits(0, 1);
  auto out =
      evaluate(OpId::step_verdict, Parameters(abi::StepVerdict{.grad_clip = 1}),
               {partials.view(), loss.view(), {}, scalars.view(), counter.view(), {}, updates.view(), report.view()});
  CHECK(double(out[0].view().word_as_float(1)) == near(1 / 5.000001));
  CHECK(out[0].view().u32(6) == 2);
  CHECK(out[1].view().u32(0) == 2);
  CHECK(double(out[2].view().word_as_float(16)) == near(2));  // counter 2: the second slot
  CHECK(double(out[2].view().word_as_float(17)) == near(5));
}

TEST_CASE("known answer: adamw_corrections on host") {
  Buffer verdict = word_buffer({0, 0, 0, 0, 0, 0, 2});
  const abi::AdamwCorrections p{float(std::log(0.9)), float(std::log(0.999))};
  auto out = evaluate(OpId::adamw_corrections, Parameters(p), {verdict.view()});
  CHECK(double(out[0].view().word_as_float(2)) == near(1 - 0.81));
  CHECK(double(out[0].view().word_as_float(3)) == doctest::Approx(std::sqrt(1 - 0.998001)).epsilon(1e-4));
}

// the first step of torch.optim.AdamW: p * (1 - lr * decay) - lr * g / (|g| + eps)
TEST_CASE("known answer: adamw on host") {
  Buffer g = buffer_of(kF32, {1}, {0.5}), p = buffer_of(kF32, {1}, {1}), m = buffer_of(kF32, {1}, {0});
  Buffer v = buffer_of(kF32, {1}, {0});
  Buffer update = word_buffer(
      {abi::float_bits(0.1f), abi::float_bits(1), abi::float_bits(0.1f), abi::float_bits(std::sqrt(0.001f))});
  abi::AdamW parameters{};
  parameters.beta1 = 0.9f, parameters.beta2 = 0.999f;
  parameters.one_minus_beta1 = 0.1f, parameters.one_minus_beta2 = 0.001f;
  parameters.epsilon = 1e-8f, parameters.decay = 0.01f, parameters.segments.count = 1;
  auto out = evaluate(OpId::adamw, Parameters(parameters), {g.view(), update.view(), p.view(), m.view(), v.view()});
  CHECK(out[0].view().get(0) == near(0.899));
  CHECK(out[1].view().get(0) == near(0.05));
  CHECK(out[2].view().get(0) == near(0.00025));
}

// Wanted: a script of its own in Python, its Philox held against Random123's first vector. Blocks 17 and 18 of the
// whole are 1 and 2 of tensor 9.
TEST_CASE("known answer: rank_sum on host") {
  Buffer parts = make_buffer({kF32, {3, 8}}), g = buffer_of(DType::bf16, {8}, {1, -2, 0.5, 3, 0, 0.25, -1.5, 8});
  for (uint32_t p = 0; p < 3; ++p)
    for (uint32_t i = 0; i < 8; ++i) parts.view().set_bits(8 * p + i, 0x3dcd1234u + 0x13579u * i + 0x731111u * p);
  Buffer scalars = word_buffer({0, 0, 4, 0x89abcdefu, 0x01234567u, 0, 2});
  Buffer counter = buffer_of(DType::i32, {16}, std::vector<double>(16, 1));
  const uint32_t wanted[4][8] = {
      {0x3fd2, 0xbfae, 0x3f93, 0x406a, 0x3f27, 0x3f68, 0xbf56, 0x410a},   // micro-step 1, rank 2
      {0x3fd1, 0xbfae, 0x3f93, 0x406a, 0x3f28, 0x3f69, 0xbf56, 0x410b},   // once per step
      {0x3fd2, 0xbfae, 0x3f93, 0x406a, 0x3f28, 0x3f68, 0xbf57, 0x410b},   // a vector
      {0x3f23, 0x3f25, 0x3f26, 0x3f27, 0x3f27, 0x3f29, 0x3f29, 0x3f2b}};  // a vector, once per step, from +0
  const uint32_t flags[4][3] = {{1, 1, 1}, {1, 0, 1}, {1, 1, 0}, {0, 0, 0}};
  for (int n = 0; n < 4; ++n) {
    const abi::RankSum p{.accumulate = flags[n][0],
                         .by_micro_step = flags[n][1],
                         .by_owner = flags[n][2],
                         .segments = {.first = 5, .rank_stride = 6, .count = 2, .begin = {0, 16}, .tensor = {3, 9}}};
    auto out = evaluate(OpId::rank_sum, Parameters(p), {parts.view(), scalars.view(), counter.view(), g.view()});
    for (uint64_t i = 0; i < 8; ++i) CHECK(out[0].view().bits(i) == wanted[n][i]);
  }
}

}  // namespace tandem::test
