// The windows of token files: T places each, an input and its target at every place.
//
// Packing "stream": window i of a file has the inputs tokens[i*T .. i*T+T-1] and the targets one further on, so it
// reads T+1 tokens. Packing "whole": a window holds the pieces of documents that pack_plan.h puts into it, then
// padding. The windows of all files in listed order are numbered 0 .. count-1.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "core/data/document_end.h"
#include "core/data/pack_plan.h"
#include "core/data/stream_file.h"
#include "core/data/token_file.h"

namespace tandem {

enum class Packing : uint8_t { stream, whole };
constexpr Word<Packing> kPackings[] = {{"stream", Packing::stream}, {"whole", Packing::whole}};

struct WindowOptions {
  uint32_t sequence_length = 0;  // T, places
  Packing packing = Packing::stream;
  bool separate_documents = false;  // in "whole" they always are
  DocumentEnd document_end = {};

  bool separate() const { return separate_documents || packing == Packing::whole; }
};

// Consecutive tokens of a window that see each other and nothing else; positions count from its start.
struct Piece {
  uint64_t first = 0;   // token; the piece's targets are first + 1 .. first + places
  uint64_t places = 0;  // inputs
  bool ends = false;    // the last target is another document's first token, and not valid
};

// What a set of windows holds.
struct WindowCounts {
  uint64_t windows = 0, without_targets = 0;
  uint64_t inputs = 0;                    // places that are no padding
  uint64_t targets = 0;                   // valid ones
  std::optional<uint64_t> documents_cut;  // none: a file does not say where its documents start
};

// Where one window's content goes: T places each.
struct WindowPlaces {
  std::span<int32_t> inputs;
  std::span<int32_t> targets;                    // -1: not valid
  std::span<int32_t> positions;                  // from the start of the window, or of the document in it
  std::span<std::byte> codes = {}, scales = {};  // its stream, where that is attached
};

class Windows {
 public:
  // There may be none, and none with targets: open_windows refuses that. Exit::configuration: documents that cannot be
  // told apart.
  Windows(TokenFiles files, const WindowOptions& options);

  uint64_t count() const { return starts_.back(); }
  uint64_t sequence_length() const { return sequence_length_; }
  // Writes window w; returns its valid targets.
  uint64_t fill(uint64_t w, const WindowPlaces& to) const;
  uint64_t valid_targets(uint64_t w) const;
  uint64_t inputs(uint64_t w) const;  // places that are no padding
  const WindowCounts& counts() const { return counts_; }
  // The windows of file f, as listed.
  uint64_t count(size_t f) const { return starts_[f + 1] - starts_[f]; }
  uint64_t first(size_t f) const { return starts_[f]; }
  size_t files() const { return sources_.size(); }
  const TokenFile& file(size_t f) const { return *sources_[f].file; }
  uint64_t hash(size_t f) const;  // XXH3 of inputs and positions of the windows of file f

  // The stored streams of file f, which all files have or none.
  void attach(size_t f, std::shared_ptr<const StreamFile> stream) { sources_[f].stream = std::move(stream); }
  const StreamHeader* stream() const { return sources_[0].stream ? &sources_[0].stream->header() : nullptr; }

  // Calls visit with the file and each piece of window w, in order.
  void for_each_piece(uint64_t w, const std::function<void(const TokenFile&, const Piece&)>& visit) const;

 private:
  struct Source {
    std::shared_ptr<const TokenFile> file;
    Documents documents;           // known where they are kept apart
    std::optional<PackPlan> plan;  // for "whole"
    std::shared_ptr<const StreamFile> stream;
  };
  size_t file_of(uint64_t w) const;
  void count_all();

  std::vector<Source> sources_;
  std::vector<uint64_t> starts_{0};  // (files + 1) number of the first window of each file, and of all windows
  uint64_t sequence_length_;
  WindowCounts counts_;
};

// Windows to train on or to evaluate. Exit::input, naming the file: one that is too short for a window, or no target
// that counts. Exit::configuration: documents that cannot be told apart. Warns of much padding.
Windows open_windows(const TokenFiles& files, const WindowOptions& options);

}  // namespace tandem
