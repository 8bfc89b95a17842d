// The parameters of a session: read from a model's files, or drawn.
#pragma once

#include "core/model/adapter_directory.h"
#include "core/model/model_source.h"
#include "core/runtime/session.h"

namespace tandem {

// Writes every parameter of the session, and every state that begins as its parameter: from open_weights, or drawn from
// seed. One of several ranks makes the rows alone that it has. Of a frozen base in fp8 the codes are written.
void load_parameters(Session& session, const ModelSource& model, const ModelFiles& weights);
void initialise_parameters(Session& session, const ModelSource& model, uint64_t seed);

// The same for an adapter's parameters: specs are adapter_specs. b_as_a: see draw_adapter_rows.
void load_adapter(Session& session, const AdapterDirectory& adapter, std::span<const ParameterSpec> specs);
void initialise_adapter(Session& session, std::span<const ParameterSpec> specs, uint64_t seed, bool b_as_a);

}  // namespace tandem
