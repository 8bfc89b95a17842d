// Reference: each operation in f32, sums in the order of core/abi/apollo_scale.h. Source: apollo_torch 1.0.3, against
// which tests/golden/projected.cpp holds whole updates.
#include "core/abi/apollo_scale.h"

#include "tests/ops/same_bits.h"
#include "tests/ops/tree_order.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void reference(const abi::ApolloScale& p, Operands o) {
  const Tensor &r = o[0], &update = o[1];
  Tensor &out = o[2], &m = o[3], &v = o[4];
  const float by = p.by * update.word_as_float(1);
  for (uint64_t row = 0; row < p.rows; ++row) {
    std::vector<float> n(p.rank), g(p.rank);
    for (uint64_t c = 0; c < p.rank; ++c) {
      const uint64_t i = row * p.rank + c, at = uint64_t(p.first_row) * p.rank + i;
      g[c] = by * float(r.get(i));
      const float first = p.beta1 * float(m.get(at)) + p.one_minus_beta1 * g[c];
      const float second = p.beta2 * float(v.get(at)) + (p.one_minus_beta2 * g[c]) * g[c];
      n[c] = first / (std::sqrt(second) + p.epsilon);
      if (p.form == abi::kApolloDirection) out.set(i, double(n[c]));
      if (!update.u32(4)) m.set(at, double(first)), v.set(at, double(second));
    }
    if (p.form == abi::kApolloDirection) continue;
    const float n_sum = sum_in_lanes(p.rank, [&](uint64_t c) { return n[c] * n[c]; });
    const float g_sum = sum_in_lanes(p.rank, [&](uint64_t c) { return g[c] * g[c]; });
    const bool channel = p.form == abi::kApolloChannel;
    out.set(row, double(channel ? std::sqrt(n_sum) / (std::sqrt(g_sum) + 1e-8f) : n_sum));
    if (!channel) out.set(p.rows + row, double(g_sum));
  }
}

void cases(Cases& cases) {
  const auto squares = [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, std::pow(0.1 * random.normal(), 2));
  };
  struct Form {
    const char* name;
    uint32_t form;
    bool wide;
  };
  for (const Form& f :
       {Form{"channel", abi::kApolloChannel, true}, Form{"tensor", abi::kApolloTensor, true},
        Form{"direction", abi::kApolloDirection, true}, Form{"bf16 direction", abi::kApolloDirection, false}})
    for (const auto& [rows, rank] : {std::pair{24u, 8u}, {13u, 1u}, {300u, 5u}, {7u, 256u}, {2u, 200u}})
      for (const uint32_t skipped : {0u, 1u}) {
        const abi::ApolloScale p{.first_row = skipped == 0 ? 3u : 0u,
                                 .form = f.form,
                                 .wide = f.wide,
                                 .by = 1 / std::sqrt(float(rank)),
                                 .beta1 = 0.9f,
                                 .beta2 = 0.95f,
                                 .one_minus_beta1 = 0.1f,
                                 .one_minus_beta2 = 0.05f,
                                 .epsilon = 1e-8f};
        const Shape states{rows + 4, rank};
        cases.add(fmt::format("{} ({}, {}){}", f.name, rows, rank, skipped ? " skipped" : ""), p,
                  {in(DType::f32, {rows, rank}), update_words(skipped), in(DType::f32, states, normal(0.1)),
                   in(DType::f32, states, squares)});
      }
  cases.add("zeros",
            abi::ApolloScale{.form = abi::kApolloChannel, .by = 0.5f, .beta1 = 0.9f, .beta2 = 0.9f, .epsilon = 1e-8f},
            {in(DType::f32, {8, 4}, zeros()), update_words(0), in(DType::f32, {8, 4}, zeros()),
             in(DType::f32, {8, 4}, zeros())});
}

}  // namespace

OP_CASES(apollo_scale, abi::ApolloScale)
SAME_BITS(apollo_scale)

}  // namespace tandem::test
