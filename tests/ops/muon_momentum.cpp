// Reference: the momentum and the direction in f64, then stored. Source: torch.optim.Muon (lerp_ of the buffer, lerp of
// the gradient towards it); stochastic rounding by the definition in docs/numerics.md.
#include "core/abi/muon_momentum.h"

#include "tests/ops/random_word.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void reference(const abi::MuonMomentum& p, Operands o) {
  const Tensor &gradient = o[0], &update = o[1];
  Tensor &u = o[2], &m = o[3];
  const RandomKey key{update.u32(6), update.u32(7), update.u32(5), 0};
  const abi::Segments whole{.count = 1, .tensor = {p.tensor}};
  for (uint64_t i = 0; i < uint64_t(p.rows) * p.columns; ++i) {
    const uint64_t at = 4 * uint64_t(p.first) + i;
    const double part = double(p.one_minus_momentum) * gradient.get(at) * update.word_as_float(1);
    const double next = double(p.momentum) * m.get(at) + part;
    u.set(i, p.nesterov ? double(p.momentum) * next + part : next);
    if (update.u32(4)) continue;
    if (m.dtype() != DType::bf16) m.set(at, next);
    else m.set_bits(at, abi::bf16_from_f32_stochastic(float(next), random_word(whole, key, i, 1)));
  }
}

void cases(Cases& cases) {
  struct Types {
    DType gradient, u, m;
  };
  std::vector<Types> types{{DType::f32, DType::f32, DType::f32}};
  for (DType gradient : kFloats)
    for (DType m : kFloats) types.push_back({gradient, DType::bf16, m});
  for (const Types& t : types) {
    const abi::MuonMomentum p{.tensor = 7,
                              .rows = 24,
                              .columns = 40,
                              .momentum = 0.95f,
                              .one_minus_momentum = 0.05f,
                              .nesterov = 1,
                              .wide = t.u == DType::f32};
    const std::string name = fmt::format("g {} u {} m {}", name_of(t.gradient), name_of(t.u), name_of(t.m));
    const auto add = [&](const char* what, const abi::MuonMomentum& parameters, Shape whole, uint32_t skipped,
                         Filler gradient) {
      cases.add(fmt::format("{} {}", name, what), parameters,
                {in(t.gradient, whole, gradient), update_words(skipped), in(t.m, whole, normal(0.1))});
    };
    abi::MuonMomentum other = p;
    add("whole", p, {24, 40}, 0, normal());
    add("skipped", p, {24, 40}, 1, put(normal(), {{3, NAN}}));
    other.nesterov = 0;
    add("without nesterov", other, {24, 40}, 0, normal());
    other = p;
    other.first = 30, other.tensor = 900;  // behind 3 rows
    add("a part", other, {31, 40}, 0, normal());
    other.first = 3, other.rows = 7, other.columns = 4;  // 8 bytes of bf16 past a 16th
    add("a part within packs", other, {11, 4}, 0, normal());
    other = p;
    other.rows = 1003, other.columns = 72;
    add("large", other, {1003, 72}, 0, normal());
  }
}

}  // namespace

OP_CASES(muon_momentum, abi::MuonMomentum)

}  // namespace tandem::test
