// Reference: the update in f64, then stored. Source: torch.optim.Muon (decay, then the step); stochastic rounding by
// the definition in docs/numerics.md.
#include "core/abi/muon_update.h"

#include "tests/ops/random_word.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void reference(const abi::MuonUpdate& p, Operands o) {
  const Tensor &x = o[0], &update = o[1];
  Tensor &parameter = o[2], &master = o[3];
  if (update.u32(4)) return;
  const RandomKey key{update.u32(6), update.u32(7), update.u32(5), 0};
  const abi::Segments whole{.count = 1, .tensor = {p.tensor}};
  const double rate = update.word_as_float(0);
  for (uint64_t i = 0; i < p.count; ++i) {
    const uint64_t at = 4 * uint64_t(p.first) + i;
    double w = (p.has_master ? master : parameter).get(at);
    w -= rate * double(p.decay) * w;
    w -= rate * double(p.scale) * x.get(i);
    if (p.has_master) master.set(at, w), parameter.set(at, master.get(at));
    else if (parameter.dtype() != DType::bf16) parameter.set(at, w);
    else parameter.set_bits(at, abi::bf16_from_f32_stochastic(float(w), random_word(whole, key, i, 0)));
  }
}

void cases(Cases& cases) {
  struct Types {
    DType p;
    bool master;
  };
  for (const Types& t : {Types{DType::f32, false}, Types{DType::bf16, false}, Types{DType::bf16, true}}) {
    const abi::MuonUpdate p{.tensor = 7, .decay = 0.1f, .scale = 12.5f};
    const auto add = [&](const char* what, const abi::MuonUpdate& parameters, Shape x, Shape whole, uint32_t skipped) {
      std::vector<Input> inputs{in(t.p, x, skipped ? put(normal(), {{3, NAN}}) : normal()), update_words(skipped),
                                in(t.p, whole)};
      if (t.master) inputs.push_back(in(DType::f32, whole));
      cases.add(fmt::format("p {}{} {}", name_of(t.p), t.master ? " master" : "", what), parameters, std::move(inputs));
    };
    abi::MuonUpdate other = p;
    add("whole", p, {24, 40}, {24, 40}, 0);
    add("skipped", p, {24, 40}, {24, 40}, 1);
    add("large", p, {1003, 72}, {1003, 72}, 0);
    other.first = 30, other.tensor = 900;
    add("a part", other, {24, 40}, {31, 40}, 0);
    other.first = 3;
    add("a part within packs", other, {7, 4}, {11, 4}, 0);
  }
}

}  // namespace

OP_CASES(muon_update, abi::MuonUpdate)

}  // namespace tandem::test
