#include "core/data/bpe_tokenizer.h"
#include "core/base/utf8.h"

#include <algorithm>

namespace tandem {

namespace {

template <typename T, typename Variant>
bool is(const Variant& step) {
  return std::holds_alternative<T>(step);
}

// True if a step does to each character what it does to it alone, but for what is prepended to a text.
bool treats_characters_alone(const NormalizerStep& step) {
  const auto* replace = std::get_if<Replace>(&step);
  return is<Prepend>(step) ||
         (replace != nullptr && utf8_length(replace->from[0]) == replace->from.size() && !replace->to.empty());
}

}  // namespace

struct BpeTokenizer::Job {
  std::string_view text;
  const EncodeOptions& options;
  Encoding& out;
  Workspace& workspace;
};

BpeTokenizer::BpeTokenizer(BpeTokenizerParts parts)
    : parts_(std::move(parts)),
      bpe_(parts_.tokens, parts_.merges, parts_.options, parts_.where),
      added_texts_(parts_.added.size()),
      cuts_(cuts()) {
  parts_.merges = {};
  for (const AddedToken& token : parts_.added) {
    added_texts_.add(token.content, token.id);
    if (!token.normalized) {
      as_they_are_.add(token, token.content);
      continue;
    }
    Normalized form;
    form.assign(token.content, {0, token.content.size()}, false);
    normalize(parts_.normalizer, true, form);
    in_normalized_.add(token, form.text);
  }
}

uint32_t BpeTokenizer::vocabulary_size() const {
  return std::max(parts_.tokens->id_end(), added_texts_.id_end());
}

std::optional<int32_t> BpeTokenizer::id_of(std::string_view token) const {
  const auto added = added_texts_.find(token);
  return added ? added : parts_.tokens->find(token);
}

std::unique_ptr<BpeTokenizer::Workspace> BpeTokenizer::take_workspace() const {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return std::make_unique<Workspace>();
  auto workspace = std::move(free_.back());
  free_.pop_back();
  return workspace;
}

void BpeTokenizer::give_back(std::unique_ptr<Workspace> workspace) const {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(workspace));
}

void BpeTokenizer::encode(std::string_view text, const EncodeOptions& options, Encoding& out) const {
  auto workspace = take_workspace();
  Job job{text, options, out, *workspace};
  uint64_t at = 0;
  const auto part = [&](uint64_t end) {
    if (at < end) encode_part(job, {at, end});
  };
  for (const AddedTokens::Found& found : as_they_are_.find(text, options.special_tokens, out.special)) {
    part(found.begin);
    out.ids.push_back(found.token->id);
    if (options.ranges) out.ranges.push_back({found.begin, found.end});
    at = found.end;
  }
  part(text.size());
  give_back(std::move(workspace));
}

// A part of the text between tokens that are found in the text as it is.
void BpeTokenizer::encode_part(Job& job, ByteRange range) const {
  const bool starts = range.begin == 0 && !job.options.continues;
  const bool continues = range.begin == 0 && job.options.continues;
  Normalized text;
  text.assign(job.text, range, job.options.ranges);
  normalize(parts_.normalizer, !continues, text);
  size_t at = 0;
  const auto piece = [&](size_t end) {
    if (at >= end) return;
    Normalized between;
    between.text = text.text.substr(at, end - at);
    if (job.options.ranges)
      between.origins.assign(text.origins.begin() + ptrdiff_t(at), text.origins.begin() + ptrdiff_t(end));
    const bool prepends = parts_.prefix_at_start_only ? starts && at == 0 : !(continues && at == 0);
    normalize(parts_.prefix, prepends, between);
    encode_pieces(job, between);
  };
  for (const AddedTokens::Found& found : in_normalized_.find(text.text, job.options.special_tokens, job.out.special)) {
    piece(found.begin);
    job.out.ids.push_back(found.token->id);
    if (job.options.ranges)
      job.out.ranges.push_back({text.origins[found.begin].begin, text.origins[found.end - 1].end});
    at = found.end;
  }
  piece(text.text.size());
}

void BpeTokenizer::encode_pieces(Job& job, const Normalized& text) const {
  std::vector<size_t>& ends = job.workspace.ends;
  ends.clear();
  split_pieces(parts_.pieces, text.text, ends);
  size_t begin = 0;
  for (const size_t end : ends) {
    const std::string_view piece = text.text.substr(begin, end - begin);
    if (!job.options.ranges) {
      bpe_.encode(piece, job.workspace.bpe, job.out.ids);
      begin = end;
      continue;
    }
    std::vector<Symbol>& symbols = job.workspace.symbols;
    symbols.clear();
    bpe_.encode(piece, symbols);
    for (const Symbol& symbol : symbols) {
      const size_t last = begin + std::max(symbol.length, 1u) - 1;
      job.out.ids.push_back(symbol.id);
      job.out.ranges.push_back({text.origins[begin].begin, text.origins[last].end});
      begin += symbol.length;
    }
  }
}

// The scanner's pattern always splits behind a line end before what is not \s. So does GPT-2's, but it takes the last
// \s of several for a piece of its own, which at the end of a text it does not. A step before them that looks at
// characters one by one changes nothing.
BpeTokenizer::Cuts BpeTokenizer::cuts() const {
  const std::vector<NormalizerStep>& normalizer = parts_.normalizer;
  if (!parts_.options.byte_level && std::all_of(parts_.pieces.begin(), parts_.pieces.end(), is<SplitBefore, PieceStep>))
    return std::all_of(normalizer.begin(), normalizer.end(), treats_characters_alone) ? Cuts::characters
                                                                                      : Cuts::nowhere;
  if (!std::all_of(normalizer.begin(), normalizer.end(), is<Nfc, NormalizerStep>)) return Cuts::nowhere;
  const auto step = std::find_if_not(parts_.pieces.begin(), parts_.pieces.end(), is<CharacterSplit, PieceStep>);
  if (step == parts_.pieces.end()) return Cuts::nowhere;
  const auto* pattern = std::get_if<Pattern>(&*step);
  if (is<Scanner>(*step)) return Cuts::lines;
  return pattern != nullptr && pattern->text() == kGpt2Pattern ? Cuts::lone_lines : Cuts::nowhere;
}

std::string BpeTokenizer::normalized(std::string_view part) const {
  Normalized text;
  text.assign(part, {0, part.size()}, false);
  normalize(parts_.normalizer, false, text);
  return std::string(text.text);
}

// True if the steps split at place whatever else the text holds.
bool BpeTokenizer::splits_at(std::string_view text, size_t place) const {
  const size_t before = character_before(text, place);
  const Unicode& unicode = Unicode::tables();
  const auto space = [&](size_t at) { return unicode.is(Property::space, code_point(text.data() + at)); };
  if (cuts_ == Cuts::lines) return text[before] == '\n' && !space(place);
  if (cuts_ == Cuts::lone_lines)
    return text[before] == '\n' && !space(place) && before > 0 && !space(character_before(text, before));
  if (unicode.is(Property::white, code_point(text.data() + before))) return false;  // an added token may take it
  const auto alone = [&](size_t at) {
    const std::string form = normalized(text.substr(at, utf8_length(text[at])));
    Normalized character;
    character.assign(form, {0, form.size()}, false);
    normalize(parts_.prefix, false, character);
    return std::string(character.text);
  };
  const std::string left = alone(before), right = alone(place);
  return bpe_.parts(code_point(left.data() + character_before(left, left.size())), code_point(right.data()));
}

// True if an added token goes over the boundary, touches it, or takes the white space beside it.
bool BpeTokenizer::meets_added_token(std::string_view text, size_t place) const {
  const auto white = [&](size_t at) { return Unicode::tables().is(Property::white, code_point(text.data() + at)); };
  size_t first = place, last = place;
  while (first > 0 && white(character_before(text, first))) first = character_before(text, first);
  while (last < text.size() && white(last)) last += utf8_length(text[last]);
  for (const size_t edge : {first, place, last})
    if (as_they_are_.touches(text, edge)) return true;
  if (in_normalized_.longest() == 0) return false;
  // NFC makes three bytes of nine at most; what the window cuts at its ends is not of the last form's length
  const size_t reach = 4 * in_normalized_.longest() + 64;
  size_t begin = first - std::min(first, reach), end = last + std::min(text.size() - last, reach);
  while ((text[begin] & 0xc0) == 0x80) ++begin;
  while (end < text.size() && (text[end] & 0xc0) == 0x80) --end;
  const std::string to_first = normalized(text.substr(begin, first - begin)),
                    to_place = normalized(text.substr(first, place - first)),
                    to_last = normalized(text.substr(place, last - place)),
                    window = to_first + to_place + to_last + normalized(text.substr(last, end - last));
  const size_t at = to_first.size() + to_place.size();
  for (const size_t edge : {to_first.size(), at, at + to_last.size()})
    if (in_normalized_.touches(window, edge)) return true;
  return false;
}

size_t BpeTokenizer::cut(std::string_view text, size_t from) const {
  if (cuts_ == Cuts::nowhere) return text.size();
  for (size_t place = from; place < text.size(); ++place)
    if ((text[place] & 0xc0) != 0x80 && splits_at(text, place) && !meets_added_token(text, place)) return place;
  return text.size();
}

std::string BpeTokenizer::decode(std::span<const int32_t> tokens) const {
  std::vector<std::string> texts;
  texts.reserve(tokens.size());
  for (const int32_t id : tokens) {
    const auto added = added_texts_.text(id);
    texts.emplace_back(added ? *added : parts_.tokens->text(id).value_or(kReplacement));
  }
  return run_decoder(parts_.decoder, std::move(texts));
}

}  // namespace tandem
