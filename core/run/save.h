// Saves of a run. Where the root's host has memory for it (SaveCopy), the state is copied, and a checkpoint is written
// from the copy while training goes on: one at a time. Else training waits for the disk. All ranks call all of these
// alike; what is written is the root's.
#pragma once

#include "core/run/run.h"

namespace tandem {

void save(Run& run, const Engine& engine);           // training goes on behind it, if it can
void save_and_wait(Run& run, const Engine& engine);  // no step comes behind it

// Says what was written; does not wait. Exit::storage, as of a save that waits, where it could not be.
void collect_saves(Run& run);
// Waits for what is being written first.
void finish_saves(Run& run);

// The root's, once a step from the newest checkpoint was done: the last good one before it may go.
void keep_newest(Run& run);

// What a checkpoint and an adapter directory hold of LoRA; empty where every parameter trains.
std::string adapter_config(const Run& run, const Engine& engine);

}  // namespace tandem
