// Shards of a tensor, each of 16 ceil(rows / (16 R)) rows and padded with zeros, against the tensor whole, to the bit.
#include "core/abi/adamw.h"
#include "core/abi/adamw_8bit.h"
#include "core/abi/amax.h"
#include "core/abi/quantize.h"
#include "core/abi/rank_max.h"
#include "core/abi/transpose.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

using Bytes = std::vector<std::byte>;

uint64_t shard_rows(uint64_t rows, uint64_t ranks) {
  return 16 * ((rows + 16 * ranks - 1) / (16 * ranks));
}

Input input_of(const Buffer& x) {
  return {x.desc, [x](Tensor& t, Random&) {
            Buffer from = x;
            for (uint64_t i = 0; i < t.size(); ++i) t.set_bits(i, from.view().bits(i));
          }};
}

Buffer random_rows(DType dtype, Shape shape, std::string_view seed, const Filler& fill = normal()) {
  Buffer b = make_buffer({dtype, shape});
  Random random(seed);
  Tensor view = b.view();
  fill(view, random);
  return b;
}

// rank's rows of x; those behind its last are zeros
Buffer shard_of(const Buffer& x, uint64_t rank, uint64_t rows) {
  Buffer shard{{x.desc.dtype, x.desc.shape.with_first(rows)}, {}, {}};
  const uint64_t bytes = shard.desc.bytes(), first = std::min<uint64_t>(rank * bytes, x.bytes.size());
  shard.bytes.assign(x.bytes.begin() + ptrdiff_t(first),
                     x.bytes.begin() + ptrdiff_t(std::min<uint64_t>(first + bytes, x.bytes.size())));
  shard.bytes.resize(bytes);
  return shard;
}

Buffer joined(const std::vector<Buffer>& parts, Shape shape) {
  Buffer all{{parts[0].desc.dtype, shape}, {}, {}};
  for (const Buffer& part : parts) all.bytes.insert(all.bytes.end(), part.bytes.begin(), part.bytes.end());
  all.bytes.resize(all.desc.bytes());
  return all;
}

Buffer run_one(OpId op, const Parameters& parameters, std::vector<Input> inputs, size_t operand, Backend& backend) {
  return run_case(op, {"shards", parameters, std::move(inputs), {}}, backend)[operand];
}

// ---- adamw ----

constexpr uint64_t kRows = 77, kColumns = 24;

// in_8bit: moments are codes, with scales behind them
struct Form {
  const char* name;
  DType gradient, p, moments;
  bool master, in_8bit = false;
};

// gradient, p, m, v, master; or gradient, p, m, m_scale, v, v_scale, master
std::vector<Buffer> state_of(const Form& form) {
  const Shape shape{kRows, kColumns}, scales{kRows, 1};
  std::vector<Buffer> state{random_rows(form.gradient, shape, "g"), random_rows(form.p, shape, "p")};
  if (form.in_8bit) {
    state.push_back(random_rows(DType::e4m3, shape, "m", codes()));
    state.push_back(random_rows(DType::u8, scales, "m_scale", integers(135, 141)));
    state.push_back(random_rows(DType::e5m3, shape, "v", codes()));
    state.push_back(random_rows(DType::u8, scales, "v_scale", integers(129, 135)));
  } else {
    state.push_back(random_rows(form.moments, shape, "m", normal(0.1)));
    state.push_back(random_rows(form.moments, shape, "v", constant(0.03)));
  }
  if (form.master) state.push_back(random_rows(DType::f32, shape, "p"));
  return state;
}

template <typename P>
Parameters parameters_of(uint64_t rank_stride) {
  P p{.beta1 = 0.9f, .beta2 = 0.95f, .one_minus_beta1 = 0.1f, .one_minus_beta2 = 0.05f, .epsilon = 1e-8f};
  p.decay = 0.1f;
  p.segments = {.rank_stride = uint32_t(rank_stride / 4),
                .count = 3,
                .begin = {0, 19 * kColumns / 4, 41 * kColumns / 4},
                .tensor = {5, 2, 900}};
  return Parameters(p);
}

// p, its moments, master
std::vector<Buffer> updated(const Form& form, const std::vector<Buffer>& state, uint64_t rank_stride, uint32_t rank,
                            Backend& backend) {
  const Filler words_of_update = words({abi::float_bits(1e-2f), abi::float_bits(0.5f), abi::float_bits(0.271f),
                                        abi::float_bits(0.3776f), 0, 11, 0xdeadbeefu, 0x01234567u, rank});
  std::vector<Input> inputs{input_of(state[0]), in(DType::u32, {16}, words_of_update)};
  for (size_t i = 1; i < state.size(); ++i) inputs.push_back(input_of(state[i]));
  const Parameters p =
      form.in_8bit ? parameters_of<abi::Adamw8bit>(rank_stride) : parameters_of<abi::AdamW>(rank_stride);
  std::vector<Buffer> operands =
      run_case(form.in_8bit ? OpId::adamw_8bit : OpId::adamw, {"shards", p, std::move(inputs), {}}, backend);
  return {operands.begin() + 2, operands.begin() + 1 + ptrdiff_t(state.size())};
}

// Rows behind the last are zeros in the whole's place; a scale byte there stands for them, whatever it is.
void check_part(const Buffer& whole, const Buffer& shards) {
  Bytes rows = shards.bytes;
  if (whole.desc.dtype == DType::u8) rows.resize(whole.bytes.size());
  Bytes padded = whole.bytes;
  padded.resize(rows.size());  // by zeros
  CHECK(rows == padded);
}

void check_adamw(Backend& backend) {
  const Form forms[] = {{"f32", DType::f32, DType::f32, DType::f32, false},
                        {"bf16", DType::bf16, DType::bf16, DType::bf16, false},
                        {"bf16 with masters", DType::f32, DType::bf16, DType::bf16, true},
                        {"8-bit states", DType::bf16, DType::bf16, DType::none, false, true},
                        {"8-bit states with masters", DType::f32, DType::bf16, DType::none, true, true}};
  for (const Form& form : forms)
    for (uint64_t ranks = 2; ranks <= 8; ++ranks) {
      CAPTURE(form.name);
      CAPTURE(ranks);
      const std::vector<Buffer> whole = state_of(form), wanted = updated(form, whole, 0, 0, backend);
      const uint64_t rows = shard_rows(kRows, ranks);
      std::vector<std::vector<Buffer>> parts(wanted.size());
      for (uint32_t rank = 0; rank < ranks; ++rank) {
        std::vector<Buffer> own;
        for (const Buffer& x : whole) own.push_back(shard_of(x, rank, rows));
        const auto made = updated(form, own, rows * kColumns, rank, backend);
        for (size_t i = 0; i < made.size(); ++i) parts[i].push_back(made[i]);
      }
      for (size_t i = 0; i < wanted.size(); ++i)
        check_part(wanted[i], joined(parts[i], wanted[i].desc.shape.with_first(ranks * rows)));
    }
}

// ---- codes: amax, rank_max, quantize, and the transpose of true rows ----

void check_codes(Backend& backend) {
  const uint64_t rows = 80, columns = 48;
  const Buffer x = random_rows(DType::bf16, {rows, columns}, "x", put(normal(), {{77 * columns, 9}}));
  const auto raised = [&](const Buffer& y) {
    return run_one(OpId::amax, Parameters(abi::Amax{}), {input_of(y), zero_amax()}, 1, backend);
  };
  const auto quantized = [&](const Buffer& y, const Buffer& amax, uint32_t qt) {
    return run_case(OpId::quantize,
                    {"shards", Parameters(abi::Quantize{.has_q = 1, .has_qt = qt}), {input_of(y), input_of(amax)}, {}},
                    backend);
  };
  const Buffer amax = raised(x);
  std::vector<Buffer> whole = quantized(x, amax, 1);
  for (uint64_t ranks = 2; ranks <= 8; ++ranks) {
    CAPTURE(ranks);
    std::vector<Buffer> shards, own_amax, codes;
    for (uint64_t r = 0; r < ranks; ++r) {
      shards.push_back(shard_of(x, r, shard_rows(rows, ranks)));
      own_amax.push_back(raised(shards[r]));
    }
    const Buffer all_amax = joined(own_amax, {ranks, 64});
    const Buffer largest = run_one(OpId::rank_max, Parameters(abi::RankMax{}), {input_of(all_amax)}, 1, backend);
    CHECK(largest.bytes == amax.bytes);
    for (const Buffer& shard : shards) codes.push_back(quantized(shard, largest, 0)[2]);
    const Buffer q = joined(codes, {rows, columns});  // the true rows of R * shard_rows
    CHECK(q.bytes == whole[2].bytes);
    CHECK(run_one(OpId::transpose, Parameters(abi::Transpose{}), {input_of(q)}, 1, backend).bytes == whole[3].bytes);
  }
}

}  // namespace

ON_EXECUTORS("shards of adamw are the whole's rows", check_adamw)
ON_EXECUTORS("shards are quantized as the whole is", check_codes)

}  // namespace tandem::test
