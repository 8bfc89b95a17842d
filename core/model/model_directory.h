// Writing a Hugging Face model directory.
#pragma once

#include "core/model/model_source.h"
#include "core/model/safetensors_writer.h"
#include "core/model/weights.h"

namespace tandem {

// The bytes of a part of spec, as its file holds it, in the dtype being saved; called once each, in order, and used
// until the next call.
using ParameterReader = std::function<std::span<const std::byte>(const ParameterSpec& spec, const StoredTensor& part)>;

// The tensors of specs as files hold them. specs and reader must outlive them.
std::vector<OutputTensor> output_tensors(DType dtype, std::span<const ParameterSpec> specs,
                                         const ParameterReader& reader);

// Makes the directory out of what fill writes: beside, as .tmp-NAME, and renamed, so that out is whole or not there.
// replace: one that is not empty, else Exit::configuration. Writing errors: Exit::storage.
void write_directory(const std::string& out, bool replace, const std::function<void(const std::string&)>& fill);

struct ExtraFile {
  std::string name, text;
};

struct SaveOptions {
  std::vector<ExtraFile> extra;  // further files, which the source does not have
  bool replace = false;          // a directory's that is not empty; else Exit::configuration
  uint64_t shard_bytes = kShardBytes;
};

// Exit::input unless the files that save_model_directory copies from a model's directory can be read.
void check_copied_files(const std::string& source);

// Writes out, by write_directory: config.json of source with dtype, the tensors, and source's tokenizer files
// (data/tokenizer_files).
void save_model_directory(const std::string& out, const std::string& source, DType dtype,
                          std::span<const OutputTensor> tensors, const SaveOptions& options = {});

// The same for a model, with the files of the bytes tokenizer where it uses that. replace: a directory that is there,
// else Exit::configuration.
void save_model_directory(const std::string& out, const ModelSource& model, DType dtype,
                          std::span<const OutputTensor> tensors, bool replace = false);

// The directory of a trained model, likewise.
void save_model(const ParameterReader& reader, const ModelSource& model, const Precision& precision,
                const std::string& out, bool replace);

}  // namespace tandem
