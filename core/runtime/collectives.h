// A Program's exchanges, for executors whose memory the host sees.
#pragma once

#include <functional>

#include "core/program/program.h"
#include "core/runtime/exchange.h"

namespace tandem {

// at: where a buffer's bytes lie
using Address = std::function<std::byte*(const BufferRef& buffer)>;
void run_collective(World& world, const Collective& collective, std::string_view label, const Address& at);

// A part with all that lies between the first and the last one.
BufferRef span_of(const Part& part, uint32_t ranks);

}  // namespace tandem
