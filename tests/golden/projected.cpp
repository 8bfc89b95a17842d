// Updates of APOLLO and GaLore alone, on gradients that are given: against apollo_torch with our projection in its
// projector, and the projection against NumPy's (tests/reference/projected.py); parts of a stacked weight against the
// same matrices alone.
#include "core/abi/random_signs.h"
#include "tests/golden/updates.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

// What projected.py has.
constexpr uint32_t kSteps = 20, kEvery = 8, kTensor = 7;
constexpr double kRate = 2e-2;

OptimizerOptions options(OptimizerKind kind, uint32_t rank, double scale, ApolloScaling scaling) {
  OptimizerOptions o{.kind = kind, .grad_clip = 0};
  o.projection_rank = rank;
  o.projection_every = kEvery;
  o.projection_scale = scale;
  o.scaling = scaling;
  return o;
}

struct PackageCase {
  const char* name;
  OptimizerOptions options;
};
const PackageCase kPackageCases[] = {{"channel_tall", options(OptimizerKind::apollo, 8, 1, ApolloScaling::channel)},
                                     {"channel_wide", options(OptimizerKind::apollo, 5, 2, ApolloScaling::channel)},
                                     {"tensor_tall", options(OptimizerKind::apollo, 1, 128, ApolloScaling::tensor)},
                                     {"tensor_wide", options(OptimizerKind::apollo, 4, 1, ApolloScaling::tensor)},
                                     {"galore_tall", options(OptimizerKind::galore, 8, 0.25, ApolloScaling::channel)},
                                     {"galore_wide", options(OptimizerKind::galore, 5, 1, ApolloScaling::channel)}};

// limit: NMSE of the parameter after all steps
void check_package(Backend& backend, Recipe recipe, double limit) {
  for (const PackageCase& one : kPackageCases) {
    CAPTURE(std::string(one.name));
    const UpdatesGolden golden("projected", one.name);
    const Precision precision{
        .recipe = recipe, .gradient = DType::f32, .m = DType::f32, .v = DType::f32, .master = recipe != Recipe::fp32};
    Updates updates(backend, one.options, precision,
                    {stacked("w", {{.name = "w", .shape = golden.shape(), .number = kTensor}})});
    const std::string trained = precision.master ? "w.master" : "w";
    updates.write("w", golden.floats("parameter"));
    updates.write(trained, golden.floats("parameter"));
    for (uint32_t s = 0; s < kSteps; ++s) {
      updates.write("w.gradient", golden.gradient(s));
      updates.step(s, kRate);
    }
    CHECK(nmse(updates.values(trained), golden.floats("after")) < limit);
  }
}

ON_EXECUTORS("apollo and galore update as apollo_torch does, in f32,", check_package, Recipe::fp32, 1e-6)
ON_EXECUTORS("apollo and galore update as apollo_torch does, with products in bf16,", check_package, Recipe::bf16, 1e-3)

// The op alone: 20 updates have three turns.
void check_signs(Backend& backend) {
  for (const PackageCase& one : kPackageCases) {
    CAPTURE(std::string(one.name));
    const UpdatesGolden golden("projected", one.name);
    const std::vector<float> turns = golden.floats("signs");
    const uint64_t rank = golden.shape_of("signs")[1], size = golden.shape_of("signs")[2], count = rank * size;
    for (uint32_t t = 1; t <= kSteps; ++t) {
      std::vector<uint32_t> update(16);
      update[6] = 1, update[9] = t;  // the seed, updates
      Cases cases;
      const abi::RandomSigns p{.rank = uint32_t(rank),
                               .size = uint32_t(size),
                               .true_size = uint32_t(size),
                               .tensor = kTensor,
                               .every = kEvery,
                               .wide = 1};
      cases.add("signs", p, {in(DType::u32, {16}, words(update))});
      std::vector<Buffer> made = run_case(OpId::random_signs, cases.list()[0], backend);
      const auto* first = turns.data() + (t - 1) / kEvery * count;
      bool same = true;
      for (uint64_t i = 0; i < count; ++i) same = same && float(made[1].view().get(i)) == first[i];
      CHECK(same);
    }
  }
}

ON_EXECUTORS("the signs of a projection are NumPy's", check_signs)

// ---- stacked and alone ----

void check_stacked(Backend& backend, OptimizerKind kind, ApolloScaling scaling) {
  check_stacked_as_alone(backend, options(kind, 5, 1, scaling), {.recipe = Recipe::bf16}, kRate);
}

ON_EXECUTORS("apollo updates q, k and v stacked as it does each alone", check_stacked, OptimizerKind::apollo,
             ApolloScaling::channel)
ON_EXECUTORS("apollo mini updates q, k and v stacked as it does each alone", check_stacked, OptimizerKind::apollo,
             ApolloScaling::tensor)
ON_EXECUTORS("galore updates q, k and v stacked as it does each alone", check_stacked, OptimizerKind::galore,
             ApolloScaling::channel)

}  // namespace
}  // namespace tandem::test
