// Reference: each operation in f32, then stored; stochastic rounding by the definition in docs/numerics.md.
#include "core/abi/apollo_update.h"

#include "tests/ops/random_word.h"
#include "tests/ops/same_bits.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void reference(const abi::ApolloUpdate& p, Operands o) {
  const Tensor &x = o[0], &factors = o[1], &factor = o[2], &update = o[3];
  Tensor &parameter = o[4], &master = o[5];
  if (update.u32(4)) return;
  const RandomKey key{update.u32(6), update.u32(7), update.u32(5), 0};
  const abi::Segments whole{.count = 1, .tensor = {p.tensor}};
  const float learning_rate = update.word_as_float(0), decay = learning_rate * p.decay;
  float rate = ((learning_rate * update.word_as_float(3)) / update.word_as_float(2)) * p.scale;
  if (factor.present()) rate *= float(factor.get(0));
  for (uint64_t i = 0; i < p.count; ++i) {
    const uint64_t at = 4 * uint64_t(p.first) + i, channel = p.transposed ? i % p.columns : i / p.columns;
    float w = float((p.has_master ? master : parameter).get(at));
    w = w - decay * w;
    w = w - (rate * (factors.present() ? float(factors.get(channel)) : 1.0f)) * float(x.get(i));
    if (p.has_master) master.set(at, double(w)), parameter.set(at, double(w));
    else if (parameter.dtype() != DType::bf16) parameter.set(at, double(w));
    else parameter.set_bits(at, abi::bf16_from_f32_stochastic(w, random_word(whole, key, i, 0)));
  }
}

void cases(Cases& cases) {
  struct Types {
    DType p;
    bool master;
  };
  enum Given : uint8_t { alone, with_factor, with_both };
  for (const Types& t : {Types{DType::f32, false}, Types{DType::bf16, false}, Types{DType::bf16, true}})
    for (const bool transposed : {false, true})
      for (const Given given : {alone, with_factor, with_both}) {
        const abi::ApolloUpdate p{.tensor = 7, .transposed = transposed, .decay = 0.1f, .scale = 11.3f};
        const auto add = [&](const char* what, const abi::ApolloUpdate& parameters, Shape x, Shape whole,
                             uint32_t skipped = 0) {
          std::vector<Input> inputs{in(t.p, x, skipped ? put(normal(), {{3, double(NAN)}}) : normal()),
                                    given == with_both ? in(DType::f32, {x[transposed ? 1 : 0]}) : absent(),
                                    given != alone ? in(DType::f32, {1}, constant(0.7)) : absent(),
                                    update_words(skipped), in(t.p, whole)};
          if (t.master) inputs.push_back(in(DType::f32, whole));
          cases.add(
              fmt::format("p {}{}{}{} {}", name_of(t.p), t.master ? " master" : "", transposed ? " transposed" : "",
                          given == alone       ? ""
                          : given == with_both ? " factors"
                                               : " factor",
                          what),
              parameters, std::move(inputs));
        };
        abi::ApolloUpdate other = p;
        add("whole", p, {24, 40}, {24, 40});
        add("skipped", p, {24, 40}, {24, 40}, 1);
        add("large", p, {1003, 72}, {1003, 72});
        other.first = 30, other.tensor = 900;
        add("a part", other, {24, 40}, {31, 40});
        other.first = 3;
        add("a part within packs", other, {7, 4}, {11, 4});
      }
}

}  // namespace

OP_CASES(apollo_update, abi::ApolloUpdate)
SAME_BITS(apollo_update)

}  // namespace tandem::test
