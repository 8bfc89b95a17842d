#include "core/step/parameters.h"

namespace tandem {
namespace {

// Writes what `source(dtype, sink)` yields to the parameters, and once more, as f32, to the masters where the program
// keeps them.
template <typename Source>
void fill_parameters(Session& session, const Precision& precision, const Source& source) {
  source(precision.compute(), [&](const ParameterSpec& spec, auto data) { session.write(spec.name, data); });
  if (precision.master)
    source(DType::f32, [&](const ParameterSpec& spec, auto data) {
      if (session.has(spec.name + ".master")) session.write(spec.name + ".master", data);
    });
}

}  // namespace

void load_parameters(Session& session, const ModelSource& model, const ModelFiles& weights,
                     const Precision& precision) {
  const std::vector<ParameterSpec> specs = parameter_specs(model.config);
  fill_parameters(session, precision,
                  [&](DType dtype, const ParameterSink& sink) { load_parameters(weights, specs, dtype, sink); });
}

void initialise_parameters(Session& session, const ModelSource& model, const Precision& precision, uint64_t seed) {
  const std::vector<ParameterSpec> specs = parameter_specs(model.config);
  fill_parameters(session, precision, [&](DType dtype, const ParameterSink& sink) {
    draw_parameters(model.config, specs, seed, dtype, sink);
  });
}

}  // namespace tandem
