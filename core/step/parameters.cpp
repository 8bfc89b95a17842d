#include "core/step/parameters.h"

#include <map>

#include "core/step/state.h"

namespace tandem {
namespace {

// Writes what `source(dtype, sink)` yields to the parameters, and once more to the states that begin as their
// parameter.
template <typename Source>
void fill_parameters(Session& session, const Precision& precision, const Source& source) {
  source(precision.compute(), [&](const ParameterSpec& spec, auto data) { write_whole(session, spec.name, data); });
  std::map<DType, std::multimap<std::string, std::string>> copies;  // by dtype: bindings by parameter
  for (const Binding& b : session.program().bindings)
    if (b.initial == Initial::parameter) copies[b.desc.dtype].emplace(b.name.substr(0, b.name.rfind('.')), b.name);
  for (const auto& [dtype, bindings] : copies)
    source(dtype, [&, &names = bindings](const ParameterSpec& spec, auto data) {
      const auto [first, last] = names.equal_range(spec.name);
      for (auto i = first; i != last; ++i) write_whole(session, i->second, data);
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
