// The e4m3 codes of a frozen base, made on the host while it is loaded: the same bits as ops amax, quantize and
// transpose make on any device (docs/numerics.md). No more than one weight exists in bf16 at a time, and on no device.
#pragma once

#include "core/model/weights.h"
#include "core/runtime/session.h"

namespace tandem {

// Writes the codes of a weight, their scale and, where the session has it, their transpose. data: the weight in bf16.
void write_codes(Session& session, const ParameterSpec& weight, std::span<const std::byte> data);

}  // namespace tandem
