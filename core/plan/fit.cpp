#include "core/plan/fit.h"

namespace tandem {
namespace {

struct Step {
  const StepSpec& spec;
  const MemoryPolicy& policy;
  const Target& target;

  bool fits(const Precision& precision, uint32_t micro_batch) const {
    StepSpec smaller = spec;
    smaller.precision = precision;
    smaller.shape.micro_batch = micro_batch;
    if (spec.shape.head_chunks == choose_head_chunks(spec.model, precision, spec.shape))
      smaller.shape.head_chunks = choose_head_chunks(spec.model, precision, smaller.shape);
    return compile_step(smaller, policy, target, Checks::without).memory.fits();
  }

  // by halves, in units of what the recipe can take
  uint32_t largest(const Precision& precision) const {
    uint32_t unit = 1;
    while (uint64_t(unit) * spec.shape.sequence_length % size_multiple(precision.recipe) != 0) ++unit;
    uint32_t fitting = 0, most = spec.shape.micro_batch / unit;
    while (fitting < most) {
      const uint32_t half = most - (most - fitting) / 2;
      if (fits(precision, half * unit)) fitting = half;
      else most = half - 1;
    }
    return fitting * unit;
  }
};

// the recipe with its own dtypes for gradients and moments
Precision with_recipe(Precision precision, Recipe recipe) {
  precision.recipe = recipe;
  if (recipe != Recipe::fp32 && precision.gradient == DType::f32)
    precision.gradient = precision.m = precision.v = DType::bf16;
  return precision;
}

std::string suggestion(const Step& step) {
  const Precision& precision = step.spec.precision;
  if (const uint32_t b = step.largest(precision); b > 0) return fmt::format("batch.micro_batch = {}", b);
  if (precision.recipe == Recipe::fp32)
    if (const uint32_t b = step.largest(with_recipe(precision, Recipe::bf16)); b > 0)
      return fmt::format("batch.micro_batch = {} with precision.recipe = \"bf16\"", b);
  return "none of this model at this data.sequence_length and [memory]";
}

}  // namespace

uint32_t largest_micro_batch(const StepSpec& spec, const MemoryPolicy& policy, const Target& target) {
  return Step{spec, policy, target}.largest(spec.precision);
}

Compiled compile_step_or_suggest(const StepSpec& spec, const MemoryPolicy& policy, const Target& target) {
  Compiled compiled = compile_step(spec, policy, target);
  if (!compiled.memory.fits())
    throw Error(Exit::does_not_fit, fmt::format("{}; the largest that fits: {}", compiled.memory.shortfall,
                                                suggestion({spec, policy, target})));
  return compiled;
}

}  // namespace tandem
