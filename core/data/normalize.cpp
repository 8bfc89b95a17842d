#include "core/data/normalize.h"

#include "core/data/unicode.h"

namespace tandem {
namespace {

// Writes the normalized text from left to right; with origins where the text before has them.
class Writer {
 public:
  explicit Writer(const Normalized& before) : before_(before) {}

  // bytes begin .. end - 1 of the text before, as they are
  void copy(size_t begin, size_t end) {
    text_ += before_.text.substr(begin, end - begin);
    if (!before_.origins.empty())
      origins_.insert(origins_.end(), before_.origins.begin() + ptrdiff_t(begin),
                      before_.origins.begin() + ptrdiff_t(end));
  }
  // text in the place of bytes begin .. end - 1
  void replace(size_t begin, size_t end, std::string_view text) {
    text_ += text;
    if (before_.origins.empty()) return;
    const ByteRange whole{before_.origins[begin].begin, before_.origins[end - 1].end};
    origins_.insert(origins_.end(), text.size(), whole);
  }
  void finish(Normalized& out) {
    out.storage = std::move(text_);
    out.text = out.storage;
    out.origins = std::move(origins_);
  }

 private:
  const Normalized& before_;
  std::string text_;
  std::vector<ByteRange> origins_;
};

void apply(const Nfc&, bool, Normalized& text) {
  size_t at = nfc_unchanged(text.text);
  if (at == text.text.size()) return;
  Writer writer(text);
  writer.copy(0, at);
  while (at < text.text.size()) {
    if (const size_t same = nfc_unchanged(text.text.substr(at)); same > 0) {
      writer.copy(at, at + same);
      at += same;
      continue;
    }
    const size_t length = nfc_segment(text.text.substr(at));
    const std::string_view segment = text.text.substr(at, length);
    const std::string form = nfc(segment);
    if (form == segment) writer.copy(at, at + length);
    else writer.replace(at, at + length, form);
    at += length;
  }
  writer.finish(text);
}

void apply(const Replace& step, bool, Normalized& text) {
  size_t place = text.text.find(step.from);
  if (place == text.text.npos) return;
  Writer writer(text);
  size_t at = 0;
  for (; place != text.text.npos; place = text.text.find(step.from, at)) {
    writer.copy(at, place);
    at = place + step.from.size();
    writer.replace(place, at, step.to);
  }
  writer.copy(at, text.text.size());
  writer.finish(text);
}

// What is prepended stands for the first character, as in the reference.
void apply(const Prepend& step, bool prepends, Normalized& text) {
  if (!prepends || text.text.empty() || (step.unless_there && text.text.starts_with(step.text))) return;
  Writer writer(text);
  writer.replace(0, 1, step.text);
  writer.copy(0, text.text.size());
  writer.finish(text);
}

}  // namespace

void Normalized::assign(std::string_view original, ByteRange range, bool with_origins) {
  text = original.substr(range.begin, range.end - range.begin);
  origins.clear();
  for (uint64_t i = range.begin; with_origins && i < range.end; ++i) origins.push_back({i, i + 1});
}

void normalize(const std::vector<NormalizerStep>& steps, bool prepends, Normalized& text) {
  for (const NormalizerStep& step : steps) std::visit([&](const auto& s) { apply(s, prepends, text); }, step);
}

}  // namespace tandem
