// Updates parameters inside the backward pass, each behind the last addition to its gradient, so that a gradient lives
// for a few nodes and never beside all others.
#pragma once

#include "core/passes/policy.h"

namespace tandem {

// once: what makes a gradient's zeros moves in front of the first addition to it, and every node of update behind all
// that it needs: what makes its inputs, and the last read of what it overwrites. For an update that needs no norm of
// all gradients before the first parameter changes (ClipBy). twice: the forward and the backward pass are there two
// times. In the first one gradients are made for the step's verdict alone; the second makes the same ones again, since
// all ops repeat their bits, and updates by them. No bit changes. For a step of one micro-step, on one rank; after
// recompute, so that every read of a parameter is seen, and before chunk and offload, which cut and move what was moved
// here.
Graph release(const Graph& graph, Release how);

}  // namespace tandem
