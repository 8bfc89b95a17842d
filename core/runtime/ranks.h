// The ranks of a run: threads of this process, or this process among others.
#pragma once

#include <functional>

#include "core/base/error.h"
#include "core/runtime/world.h"

namespace tandem {

// Runs body once per rank, the root's on this thread; the others keep quiet. Returns what the root's body returns. Once
// a rank throws, the others end, and what it threw is thrown again, naming it.
Exit run_threads(uint32_t ranks, const std::function<Exit(World&)>& body);

// Meets the other processes and runs body as one rank, which keeps quiet unless it is the root. What it throws is told
// to them, and thrown again, naming the rank.
Exit run_process(const Launch& launch, const std::function<Exit(World&)>& body);

// Exit::configuration, naming the first that differs, unless every rank has the same text; an empty one says nothing.
void require_same(World& world, std::string_view text, std::string_view what, std::string_view remedy);

}  // namespace tandem
