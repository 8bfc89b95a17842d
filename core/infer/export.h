// From checkpoints and adapters to directories that other programs read.
#pragma once

#include <string>

namespace tandem {

// Writes out, which must not exist or be empty: config.json and the tokenizer's files of the directory that the run was
// started with, and the checkpoint's weights; of a LoRA run a PEFT directory. Exit::input where the checkpoint is not
// whole or config.json has changed since.
void export_checkpoint(const std::string& path, const std::string& out);

// Writes a whole model: base with W + s B A in place of each adapted W, rounded once to the dtype of its file; B A is
// summed in f64. path: a checkpoint of a LoRA run or a PEFT directory; base: a model's directory, by default the run's.
void export_merged(const std::string& path, std::string base, const std::string& out);

}  // namespace tandem
