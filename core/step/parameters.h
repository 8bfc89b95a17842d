// The parameters of a session: read from a model's files, or drawn.
#pragma once

#include "core/model/model_source.h"
#include "core/runtime/session.h"

namespace tandem {

// Writes every parameter of the session, and every state that begins as its parameter: from open_weights, or drawn from
// seed. One of several ranks makes the rows alone that it has.
void load_parameters(Session& session, const ModelSource& model, const ModelFiles& weights);
void initialise_parameters(Session& session, const ModelSource& model, uint64_t seed);

}  // namespace tandem
