#include "core/data/tokenizer_json.h"
#include "core/base/utf8.h"

#include <algorithm>
#include <functional>

namespace tandem {
namespace {

constexpr uint64_t kMostIds = 1 << 22;  // a table has a row per id

[[noreturn]] void refuse(std::string_view file, const std::string& path, const Json& value, std::string_view read) {
  fail(Exit::configuration, file, "{} is {:.100}, which is not read; {}", path, value.dump(), read);
}

JsonObject object_at(const Json& value, std::string_view file, const std::string& path) {
  return JsonObject(value, file, Exit::input, path);
}

std::string type_of(const JsonObject& object) {
  object.require("type");
  return *object.string("type");
}

[[noreturn]] void refuse_type(std::string_view file, const JsonObject& object, std::string_view read) {
  refuse(file, object.key_path("type"), *object.find("type"), read);
}

// Calls read with each step of a value: the value itself, or each of a Sequence under key, in each other too.
void for_each_step(const Json& value, std::string_view file, const std::string& path, const char* key,
                   const std::function<void(const JsonObject& step)>& read) {
  if (value.is_null()) return;
  const JsonObject object = object_at(value, file, path);
  if (type_of(object) != "Sequence") return read(object);
  const Json* steps = object.find(key);
  if (steps == nullptr || !steps->is_array()) object.wrong(key, "a list");
  for (size_t i = 0; i < steps->size(); ++i)
    for_each_step((*steps)[i], file, fmt::format("{}[{}]", object.key_path(key), i), key, read);
}

std::string required_string(const JsonObject& object, std::string_view key) {
  object.require(key);
  return *object.string(key);
}

// The pattern of a Split or Replace that is a string; none where it is a regular expression.
std::optional<std::string> string_pattern(const JsonObject& step) {
  step.require("pattern");
  const JsonObject pattern = *step.object("pattern");
  if (pattern.find("Regex") != nullptr) return {};
  return required_string(pattern, "String");
}

std::string replaced_string(std::string_view file, const JsonObject& step) {
  auto text = string_pattern(step);
  if (!text) refuse(file, step.key_path("pattern"), *step.find("pattern"), "a String is");
  return *text;
}

// The replacement character of Metaspace, and what it does at the start of a text.
struct Metaspace {
  std::string replacement;
  bool prepends = true, first_only = false;
};

Metaspace read_metaspace(std::string_view file, const JsonObject& step) {
  Metaspace metaspace;
  metaspace.replacement = step.string("replacement").value_or("\u2581");
  if (metaspace.replacement.empty() || utf8_length(metaspace.replacement[0]) != metaspace.replacement.size())
    step.wrong("replacement", "one character");
  const bool add = step.boolean("add_prefix_space").value_or(true);
  const std::string scheme = step.string("prepend_scheme").value_or(add ? "always" : "never");
  if (scheme != "always" && scheme != "never" && scheme != "first")
    refuse(file, step.key_path("prepend_scheme"), *step.find("prepend_scheme"), "always, never and first are");
  metaspace.prepends = scheme != "never";
  metaspace.first_only = scheme == "first";
  return metaspace;
}

void read_normalizer(const Json& json, std::string_view file, BpeTokenizerParts& parts) {
  for_each_step(child(json, "normalizer"), file, "normalizer", "normalizers", [&](const JsonObject& step) {
    const std::string type = type_of(step);
    if (type == "NFC") {
      parts.normalizer.emplace_back(Nfc{});
    } else if (type == "Prepend") {
      parts.normalizer.emplace_back(Prepend{required_string(step, "prepend")});
    } else if (type == "Replace") {
      const std::string from = replaced_string(file, step);
      if (!from.empty()) parts.normalizer.emplace_back(Replace{from, required_string(step, "content")});
    } else {
      refuse_type(file, step, "NFC, Prepend, Replace and Sequence are");
    }
  });
}

// What changes the text of a part before it is split is read in the first place alone.
void require_first(std::string_view file, const JsonObject& step, std::string_view key,
                   const BpeTokenizerParts& parts) {
  if (parts.pieces.empty() && parts.prefix.empty()) return;
  refuse(file, step.key_path(key), *step.find(key), "the first step of a Sequence alone may change the text");
}

void read_split(std::string_view file, const JsonObject& step, BpeTokenizerParts& parts) {
  if (required_string(step, "behavior") != "Isolated")
    refuse(file, step.key_path("behavior"), *step.find("behavior"), "Isolated is");
  if (step.boolean("invert").value_or(false)) refuse(file, step.key_path("invert"), *step.find("invert"), "false is");
  if (const auto separator = string_pattern(step)) {
    if (!separator->empty()) parts.pieces.emplace_back(StringSplit{*separator});
    return;
  }
  const JsonObject pattern = *step.object("pattern");
  const std::string text = required_string(pattern, "Regex");
  if (const auto scanner = Scanner::of(text)) parts.pieces.emplace_back(*scanner);
  else parts.pieces.emplace_back(Pattern(text, fmt::format("{}, {}", file, pattern.key_path("Regex"))));
}

void read_byte_level(std::string_view file, const JsonObject& step, BpeTokenizerParts& parts) {
  if (parts.options.byte_level) refuse_type(file, step, "one ByteLevel is");
  if (step.boolean("add_prefix_space").value_or(true)) {
    require_first(file, step, step.contains("add_prefix_space") ? "add_prefix_space" : "type", parts);
    parts.prefix.emplace_back(Prepend{" ", true});
  }
  if (step.boolean("use_regex").value_or(true)) parts.pieces.emplace_back(Pattern(kGpt2Pattern, file));
  parts.pieces.emplace_back(ByteLevelStep{});
  parts.options.byte_level = true;
}

void read_metaspace_step(std::string_view file, const JsonObject& step, BpeTokenizerParts& parts) {
  require_first(file, step, "type", parts);
  const Metaspace metaspace = read_metaspace(file, step);
  parts.prefix.emplace_back(Replace{" ", metaspace.replacement});
  if (metaspace.prepends) parts.prefix.emplace_back(Prepend{metaspace.replacement, true});
  parts.prefix_at_start_only = metaspace.first_only;
  if (step.boolean("split").value_or(true)) parts.pieces.emplace_back(SplitBefore{metaspace.replacement});
}

void read_pre_tokenizer(const Json& json, std::string_view file, BpeTokenizerParts& parts) {
  for_each_step(child(json, "pre_tokenizer"), file, "pre_tokenizer", "pretokenizers", [&](const JsonObject& step) {
    const std::string type = type_of(step);
    if (type == "Split") {
      read_split(file, step, parts);
    } else if (type == "ByteLevel") {
      read_byte_level(file, step, parts);
    } else if (type == "Digits") {
      parts.pieces.emplace_back(CharacterSplit{Property::numeric, step.boolean("individual_digits").value_or(false)});
    } else if (type == "Punctuation") {
      const std::string behavior = step.string("behavior").value_or("Isolated");
      if (behavior != "Isolated" && behavior != "Contiguous")
        refuse(file, step.key_path("behavior"), *step.find("behavior"), "Isolated and Contiguous are");
      parts.pieces.emplace_back(CharacterSplit{Property::punctuation, behavior == "Isolated"});
    } else if (type == "Metaspace") {
      read_metaspace_step(file, step, parts);
    } else {
      refuse_type(file, step, "Split, ByteLevel, Digits, Punctuation, Metaspace and Sequence are");
    }
  });
}

DecoderStep read_strip(const JsonObject& step) {
  StripDecoder strip{required_string(step, "content"), 0, 0};
  if (strip.content.empty() || utf8_length(strip.content[0]) != strip.content.size())
    step.wrong("content", "one character");
  strip.start = uint32_t(step.integer("start", 0, UINT32_MAX).value_or(0));
  strip.stop = uint32_t(step.integer("stop", 0, UINT32_MAX).value_or(0));
  return strip;
}

void read_decoder(const Json& json, std::string_view file, BpeTokenizerParts& parts) {
  if (child(json, "decoder").is_null()) return;
  parts.decoder.emplace();
  for_each_step(child(json, "decoder"), file, "decoder", "decoders", [&](const JsonObject& step) {
    const std::string type = type_of(step);
    std::vector<DecoderStep>& steps = *parts.decoder;
    if (type == "ByteLevel") {
      steps.emplace_back(ByteLevelDecoder{});
    } else if (type == "ByteFallback") {
      steps.emplace_back(ByteFallbackDecoder{});
    } else if (type == "Fuse") {
      steps.emplace_back(FuseDecoder{});
    } else if (type == "Replace") {
      const std::string from = replaced_string(file, step);
      if (!from.empty()) steps.emplace_back(ReplaceDecoder{from, required_string(step, "content")});
    } else if (type == "Metaspace") {
      const Metaspace metaspace = read_metaspace(file, step);
      steps.emplace_back(MetaspaceDecoder{metaspace.replacement, metaspace.prepends});
    } else if (type == "Strip") {
      steps.push_back(read_strip(step));
    } else {
      refuse_type(file, step, "ByteLevel, ByteFallback, Fuse, Replace, Metaspace, Strip and Sequence are");
    }
  });
}

std::shared_ptr<TokenTable> read_vocabulary(const JsonObject& model, std::string_view file) {
  const Json* vocabulary = model.find("vocab");
  if (vocabulary == nullptr || !vocabulary->is_object()) model.wrong("vocab", "an object");
  const auto& entries = vocabulary->get_ref<const Json::object_t&>();
  auto tokens = std::make_shared<TokenTable>(entries.size());
  for (const auto& [text, id] : entries) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= int64_t(kMostIds))
      fail(Exit::input, file, "model.vocab has the id {:.40} for {:.100}, an integer below {} was expected", id.dump(),
           Json(text).dump(), kMostIds);
    if (!tokens->add(text, id.get<int32_t>()))
      fail(Exit::input, file, "model.vocab has the id {} for two tokens, {:.100} and {:.100}; fetch the file again",
           id.dump(), Json(*tokens->text(id.get<int32_t>())).dump(), Json(text).dump());
  }
  return tokens;
}

// A merge as ["a", "b"], or as "a b".
std::pair<std::string_view, std::string_view> read_merge(const Json& merge, bool pairs, size_t index,
                                                         std::string_view file) {
  if (pairs && merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
  if (!pairs && merge.is_string()) {
    const std::string_view text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != text.npos && text.find(' ', space + 1) == text.npos)
      return {text.substr(0, space), text.substr(space + 1)};
  }
  fail(Exit::input, file, "model.merges[{}] is {:.100}, expected {}, as in model.merges[0]", index, merge.dump(),
       pairs ? "[\"a\", \"b\"]" : "\"a b\"");
}

std::vector<Merge> read_merges(const JsonObject& model, const TokenTable& tokens, std::string_view file) {
  const Json* list = model.find("merges");
  if (list == nullptr || !list->is_array()) model.wrong("merges", "a list");
  const bool pairs = !list->empty() && list->front().is_array();
  std::vector<Merge> merges;
  merges.reserve(list->size());
  std::string whole;
  for (size_t i = 0; i < list->size(); ++i) {
    const Json& merge = (*list)[i];
    if (!pairs && merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    const auto [left, right] = read_merge(merge, pairs, i, file);
    const auto id = [&](std::string_view text) {
      const auto found = tokens.find(text);
      if (!found)
        fail(Exit::input, file, "model.merges[{}] is of {:.100}, which model.vocab lacks; fetch the file again", i,
             Json(text).dump());
      return *found;
    };
    whole.assign(left).append(right);
    merges.push_back({id(left), id(right), id(whole)});
  }
  return merges;
}

// A key that changes what BPE does, and is not read but for a value that means nothing.
void require_neutral(std::string_view file, const JsonObject& model, std::string_view key) {
  const Json* value = model.find(key);
  if (value != nullptr && *value != "" && *value != 0) refuse(file, model.key_path(key), *value, "null is");
}

void read_model(const Json& json, std::string_view file, BpeTokenizerParts& parts) {
  const JsonObject model = object_at(child(json, "model"), file, "model");
  // files of old versions have no type; of the kinds, BPE alone has merges
  if (model.find("type") != nullptr && type_of(model) != "BPE") refuse_type(file, model, "BPE is");
  if (model.find("type") == nullptr && model.find("merges") == nullptr)
    fail(Exit::configuration, file, "model.type and model.merges are missing; BPE is read");
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
    require_neutral(file, model, key);
  const auto tokens = read_vocabulary(model, file);
  parts.tokens = tokens;
  parts.merges = read_merges(model, *tokens, file);
  parts.options.byte_fallback = model.boolean("byte_fallback").value_or(false);
  parts.options.fuse_unk = model.boolean("fuse_unk").value_or(false);
  parts.options.ignore_merges = model.boolean("ignore_merges").value_or(false);
  // one that the vocabulary lacks fails where a text wants it, as in the reference
  if (const auto unk = model.string("unk_token")) parts.options.unk = tokens->find(*unk);
}

// The reference does not read an added token's id: it has that of model.vocab, or else the next one that is free.
void read_added_tokens(const Json& json, std::string_view file, BpeTokenizerParts& parts) {
  const Json& list = child(json, "added_tokens");
  if (list.is_null()) return;
  if (!list.is_array()) JsonObject(json, file, Exit::input).wrong("added_tokens", "a list");
  int64_t last = -1;
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonObject object = object_at(list[i], file, fmt::format("added_tokens[{}]", i));
    AddedToken token{.content = required_string(object, "content")};
    if (token.content.empty()) continue;
    token.special = object.boolean("special").value_or(false);
    token.normalized = object.boolean("normalized").value_or(!token.special);
    token.lstrip = object.boolean("lstrip").value_or(false);
    token.rstrip = object.boolean("rstrip").value_or(false);
    token.single_word = object.boolean("single_word").value_or(false);
    const auto same = std::find_if(parts.added.begin(), parts.added.end(),
                                   [&](const AddedToken& other) { return other.content == token.content; });
    if (same != parts.added.end()) {
      token.id = same->id;
      token.special |= same->special;
      *same = token;
      continue;
    }
    const auto known = parts.tokens->find(token.content);
    token.id = known ? *known : int32_t(std::max(last + 1, int64_t(parts.tokens->size())));
    if (!known && parts.tokens->text(token.id))
      fail(Exit::input, file, "{} gets the id {}, which {:.100} of model.vocab has; fetch the file again",
           object.key_path("content"), token.id, Json(*parts.tokens->text(token.id)).dump());
    last = std::max<int64_t>(last, token.id);
    parts.added.push_back(token);
  }
}

// The special token that TemplateProcessing puts in front of a text.
void read_bos(const Json& json, std::string_view file, BpeTokenizerParts& parts) {
  for_each_step(child(json, "post_processor"), file, "post_processor", "processors", [&](const JsonObject& step) {
    if (type_of(step) != "TemplateProcessing" || parts.bos) return;
    const Json* single = step.find("single");
    if (single == nullptr || !single->is_array()) step.wrong("single", "a list");
    if (single->empty()) return;
    const Json& name = child(child(single->front(), "SpecialToken"), "id");
    if (!name.is_string()) return;
    step.require("special_tokens");
    const std::string text = name.get<std::string>();
    const Json& ids = child(child(*step.find("special_tokens"), text.c_str()), "ids");
    const bool one = ids.is_array() && ids.size() == 1 && ids[0].is_number_unsigned();
    if (!one || ids[0].get<uint64_t>() >= kMostIds)
      fail(Exit::input, file, "{} has no one id for {:.100}, with which single begins", step.key_path("special_tokens"),
           name.dump());
    parts.bos = ids[0].get<int32_t>();
  });
}

}  // namespace

BpeTokenizerParts read_tokenizer_json(const Json& json, const std::string& file) {
  BpeTokenizerParts parts;
  parts.where = file;
  if (const Json& version = child(json, "version"); !version.is_null() && version != "1.0")
    refuse(file, "version", version, "\"1.0\" is");
  read_model(json, file, parts);
  read_added_tokens(json, file, parts);
  read_normalizer(json, file, parts);
  read_pre_tokenizer(json, file, parts);
  read_decoder(json, file, parts);
  read_bos(json, file, parts);
  return parts;
}

}  // namespace tandem
