#include "core/data/windows.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/message.h"

namespace tandem {
namespace {

// The pieces of T consecutive tokens: one, or one per document where they are kept apart.
template <typename Visit>
void stream_pieces(const Documents& documents, uint64_t first, uint64_t T, const Visit& visit) {
  if (!documents.known()) return visit(Piece{first, T, false});
  const uint64_t last = first + T;
  for (uint64_t d = documents.holding(first); first < last; ++d) {
    const uint64_t end = documents.start(d + 1);  // the file's end lies behind the last target
    visit(Piece{first, std::min(end, last) - first, end <= last});
    first = end;
  }
}

template <typename Visit>
void packed_pieces(const PackPlan& plan, uint64_t w, const Visit& visit) {
  for (uint64_t p = plan.windows[w]; p < plan.windows[w + 1]; ++p) visit(Piece{plan.first[p], plan.places[p], false});
}

uint64_t valid_targets(const TokenFile& file, const Piece& piece) {
  const uint64_t last = piece.first + piece.places;
  return file.valid_targets(piece.first + 1, last + 1) - (piece.ends && file.valid_target(last) ? 1 : 0);
}

[[noreturn]] void refuse_short(const TokenFile& file, const WindowOptions& options) {
  if (options.packing == Packing::whole)
    fail(Exit::input, file.path(), "holds no document of two tokens or more, so no window has a target");
  fail(Exit::input, file.path(), "offset {}: holds {} tokens and no whole window, which takes {} (sequence length + 1)",
       file.offset_of(0), file.size(), options.sequence_length + uint64_t(1));
}

// Documents of which not all inputs stand in one window.
uint64_t cut_by_stream(const Documents& documents, uint64_t T) {
  uint64_t cut = 0;
  const uint64_t windows = (documents.start(documents.count()) - 1) / T;
  for (uint64_t d = 0; d < documents.count(); ++d) {
    if (documents.length(d) < 2) continue;
    const uint64_t last = (documents.start(d + 1) - 2) / T;
    cut += documents.start(d) / T != last || last >= windows;
  }
  return cut;
}

uint64_t cut_by_packing(const Documents& documents, uint64_t T) {
  uint64_t cut = 0;
  for (uint64_t d = 0; d < documents.count(); ++d) cut += documents.length(d) > T + 1;
  return cut;
}

// Padding costs what a target costs.
void warn_of_padding(const Windows& windows, const TokenFile& file) {
  const double fill = double(windows.counts().inputs) / double(windows.count() * windows.sequence_length());
  if (fill < 0.5)
    warn(
        fmt::format("packing \"whole\" fills {:.0f}% of the places in windows of {} tokens ({}); a shorter sequence "
                    "length or packing \"stream\" wastes less",
                    100 * fill, windows.sequence_length(), file.path()));
}

}  // namespace

Windows::Windows(TokenFiles files, const WindowOptions& options) : sequence_length_(options.sequence_length) {
  TANDEM_CHECK(sequence_length_ > 0 && !files.empty(), "windows of {} tokens of {} files", sequence_length_,
               files.size());
  for (auto& file : files) {
    Source source{std::move(file), {}, {}, {}};
    const uint64_t tokens = source.file->size();
    uint64_t windows = tokens == 0 ? 0 : (tokens - 1) / sequence_length_;
    if (options.separate() && tokens > 0)
      source.documents = documents_of(*source.file, options.document_end, options.packing == Packing::whole);
    if (options.packing == Packing::whole) {
      source.plan = pack_plan_of(source.file->path(), source.documents, options.sequence_length);
      windows = source.plan->window_count();
    }
    starts_.push_back(starts_.back() + windows);
    sources_.push_back(std::move(source));
  }
  count_all();
}

void Windows::count_all() {
  counts_.windows = count();
  for (uint64_t w = 0; w < count(); ++w) {
    const uint64_t targets = valid_targets(w);
    counts_.without_targets += targets == 0;
    counts_.inputs += inputs(w);
    counts_.targets += targets;
  }
  counts_.documents_cut = 0;
  for (const Source& source : sources_) {
    const Documents& documents = source.documents.known() ? source.documents : source.file->documents();
    if (!documents.known()) return counts_.documents_cut.reset();
    *counts_.documents_cut +=
        source.plan ? cut_by_packing(documents, sequence_length_) : cut_by_stream(documents, sequence_length_);
  }
}

size_t Windows::file_of(uint64_t w) const {
  TANDEM_CHECK(w < count(), "window {} of {}", w, count());
  return size_t(std::upper_bound(starts_.begin(), starts_.end(), w) - starts_.begin() - 1);
}

void Windows::for_each_piece(uint64_t w, const std::function<void(const TokenFile&, const Piece&)>& visit) const {
  const size_t f = file_of(w);
  const Source& source = sources_[f];
  const auto piece = [&](const Piece& p) { visit(*source.file, p); };
  if (source.plan) packed_pieces(*source.plan, w - starts_[f], piece);
  else stream_pieces(source.documents, (w - starts_[f]) * sequence_length_, sequence_length_, piece);
}

uint64_t Windows::fill(uint64_t w, const WindowPlaces& to) const {
  uint64_t t = 0, valid = 0;
  for_each_piece(w, [&](const TokenFile& file, const Piece& piece) {
    for (uint64_t i = 0; i < piece.places; ++i, ++t) {
      const uint64_t target = piece.first + i + 1;
      const bool counts = file.valid_target(target) && !(piece.ends && i + 1 == piece.places);
      to.inputs[t] = file.token(target - 1);
      to.targets[t] = counts ? file.token(target) : -1;
      to.positions[t] = int32_t(i);
      valid += counts;
    }
  });
  for (int32_t position = 0; t < sequence_length_; ++t, ++position) {  // a document of its own
    to.inputs[t] = 0;
    to.targets[t] = -1;
    to.positions[t] = position;
  }
  if (!to.codes.empty()) {
    const size_t f = file_of(w);
    std::ranges::copy(sources_[f].stream->codes(w - starts_[f]), to.codes.begin());
    std::ranges::copy(sources_[f].stream->scales(w - starts_[f]), to.scales.begin());
  }
  return valid;
}

uint64_t Windows::hash(size_t f) const {
  std::vector<int32_t> inputs(sequence_length_), targets(sequence_length_), positions(sequence_length_);
  Xxh3 hash;
  for (uint64_t w = starts_[f]; w < starts_[f + 1]; ++w) {
    fill(w, {inputs, targets, positions});
    hash.update(std::as_bytes(std::span(inputs)));
    hash.update(std::as_bytes(std::span(positions)));
  }
  return hash.digest();
}

uint64_t Windows::valid_targets(uint64_t w) const {
  uint64_t count = 0;
  for_each_piece(w, [&](const TokenFile& file, const Piece& piece) { count += tandem::valid_targets(file, piece); });
  return count;
}

uint64_t Windows::inputs(uint64_t w) const {
  uint64_t count = 0;
  for_each_piece(w, [&](const TokenFile&, const Piece& piece) { count += piece.places; });
  return count;
}

Windows open_windows(const TokenFiles& files, const WindowOptions& options) {
  Windows windows(files, options);
  for (size_t f = 0; f < files.size(); ++f)
    if (windows.count(f) == 0) refuse_short(*files[f], options);
  if (windows.counts().targets == 0)
    fail(Exit::input, files[0]->path(), "no target counts in its windows{}; the mask must leave some",
         files.size() > 1 ? fmt::format(" or those of the {} files beside it", files.size() - 1) : "");
  if (options.packing == Packing::whole) warn_of_padding(windows, *files[0]);
  return windows;
}

}  // namespace tandem
