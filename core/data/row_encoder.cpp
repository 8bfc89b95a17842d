#include "core/data/row_encoder.h"

#include <algorithm>
#include <utility>

namespace tandem {
namespace {

constexpr size_t kPart = 1 << 20;  // bytes of a long document that are encoded at once

// Appends tokens to the last run where they go on with it.
void append(EncodedRows& out, int32_t token, bool targets, bool begins, bool ranged) {
  out.tokens.push_back(token);
  if (begins || out.runs.back().targets != targets) out.runs.push_back({0, targets, begins, ranged});
  ++out.runs.back().tokens;
}

// True for each token in turn, in order, that shares a byte with a target.
class TargetBytes {
 public:
  explicit TargetBytes(const std::vector<ByteRange>& targets) : targets_(targets) {}

  bool touch(ByteRange token) {
    while (next_ < targets_.size() && targets_[next_].end <= token.begin) ++next_;
    return next_ < targets_.size() && targets_[next_].begin < token.end;
  }

 private:
  const std::vector<ByteRange>& targets_;
  size_t next_ = 0;  // the first one that does not end in front of the token
};

}  // namespace

void RowEncoder::encode(const Row& row, EncodedRows& out) const {
  const uint64_t before = out.tokens.size();
  bool begins = true, special = false;
  const auto add = [&](int32_t token, bool target) {
    append(out, token, target, std::exchange(begins, false), row.targets.has_value());
  };
  if (bos) add(*bos, !row.targets);
  static const std::vector<ByteRange> kNone;
  TargetBytes targets(row.targets ? *row.targets : kNone);
  const std::string_view text = row.text;
  for (size_t from = 0; from < text.size();) {
    const size_t to = tokenizer.cut(text, from + kPart);
    Encoding part;
    tokenizer.encode(text.substr(from, to - from),
                     {.special_tokens = special_tokens, .ranges = row.targets.has_value(), .continues = from > 0},
                     part);
    for (size_t i = 0; i < part.ids.size(); ++i) {
      const bool target = !row.targets || targets.touch({from + part.ranges[i].begin, from + part.ranges[i].end});
      add(part.ids[i], target);
    }
    special |= part.special > 0;
    from = to;
  }
  if (row.end != RowEnd::none) add(end, row.end == RowEnd::target);
  out.special += special;
  out.empty += out.tokens.size() == before;
}

void RowEncoder::encode_part(std::string_view text, bool begins, bool ends, EncodedRows& out) const {
  out.runs.push_back({0, true, begins});
  if (begins && bos) append(out, *bos, true, false, false);
  Encoding part;
  tokenizer.encode(text, {.special_tokens = special_tokens, .continues = !begins}, part);
  out.tokens.insert(out.tokens.end(), part.ids.begin(), part.ids.end());
  out.runs.back().tokens += part.ids.size();
  if (ends) append(out, end, true, false, false);
  out.special += part.special > 0;
}

}  // namespace tandem
