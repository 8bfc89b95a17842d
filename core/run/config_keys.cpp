#include "core/run/config_keys.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/base/size.h"
#include "core/model/adapter_directory.h"

namespace tandem {
namespace {

using Value = ConfigValue;
using Strings = std::vector<std::string>;

constexpr uint64_t kMax32 = 0x7fffffff;
// Parts of attention's backward pass: more save nothing that 256 do not, and take minutes to plan.
constexpr uint64_t kMostAttentionChunks = 256;
constexpr uint64_t kMostProjectionRank = 65536;
constexpr uint64_t kMax64 = std::numeric_limits<int64_t>::max();  // TOML's largest integer
constexpr double kMaxF32 = 3e38;                                  // optimizer scalars become f32

bool is_word(const Value& value, std::string_view word) {
  const auto* text = std::get_if<std::string>(&value);
  return text != nullptr && *text == word;
}

// a file's or the like; a NUL would cut it short
bool is_name(const std::string& text) {
  return !text.empty() && text.find('\0') == text.npos;
}

bool contains(const Strings& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// ---- How each kind of value is read and written. A reader returns what it expected, or "" when content ----

struct Flag {
  std::string read(bool& out, const Value& value) const {
    const auto* flag = std::get_if<bool>(&value);
    if (flag == nullptr) return "true or false";
    out = *flag;
    return "";
  }
  std::string write(bool value) const { return value ? "true" : "false"; }
};

struct Count {
  uint64_t least, most;

  template <typename T>
  std::string read(T& out, const Value& value) const {
    const auto* number = std::get_if<int64_t>(&value);
    if (number == nullptr || *number < 0 || uint64_t(*number) < least || uint64_t(*number) > most)
      return fmt::format("an integer from {} to {}", least, most);
    out = static_cast<T>(*number);
    return "";
  }
  std::string write(uint64_t value) const { return std::to_string(value); }
};

struct AutoOrCount {
  Count count;

  std::string read(std::optional<uint32_t>& out, const Value& value) const {
    uint32_t number = 0;
    if (is_word(value, "auto")) return out.reset(), "";
    if (const auto expected = count.read(number, value); !expected.empty()) return "\"auto\" or " + expected;
    out = number;
    return "";
  }
  std::string write(std::optional<uint32_t> value) const { return value ? count.write(*value) : "\"auto\""; }
};

struct AutoOrSize {
  std::string read(std::optional<uint64_t>& out, const Value& value) const {
    if (is_word(value, "auto")) return out.reset(), "";
    if (const auto* number = std::get_if<int64_t>(&value); number != nullptr && *number > 0) {
      out = uint64_t(*number);
      return "";
    }
    try {
      if (const auto* text = std::get_if<std::string>(&value)) return out = parse_size(*text, ""), "";
    } catch (const Error&) {  // reported with the place of the value
    }
    return "\"auto\", bytes as a positive integer, or a string such as \"16GiB\" (KiB, MiB, GiB, GB)";
  }
  std::string write(std::optional<uint64_t> value) const { return value ? std::to_string(*value) : "\"auto\""; }
};

struct Number {
  double least, most;
  bool below_most = false;  // most itself is out of range

  std::string read(double& out, const Value& value) const {
    const auto* integer = std::get_if<int64_t>(&value);
    const auto* real = std::get_if<double>(&value);
    const double number = real != nullptr ? *real : integer != nullptr ? double(*integer) : std::nan("");
    if (!(number >= least && (below_most ? number < most : number <= most)))
      return fmt::format("a number from {} to {} {}", least, below_most ? "below" : "at most", most);
    out = number;
    return "";
  }
  std::string write(double value) const { return toml_text(Value(value)); }
};

struct Text {
  std::string read(std::string& out, const Value& value) const {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || !is_name(*text)) return "a string that is not empty and has no NUL";
    out = *text;
    return "";
  }
  std::string write(const std::string& value) const { return toml_quoted(value); }
};

struct Choice {
  Strings words;
  std::string remark = {};

  std::string read(std::string& out, const Value& value) const {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || !contains(words, *text)) return fmt::format("one of {}{}", fmt::join(words, ", "), remark);
    out = *text;
    return "";
  }
  std::string write(const std::string& value) const { return toml_quoted(value); }
};

// One of some words that stand for values.
template <typename T>
struct Words {
  std::span<const Word<T>> words;

  std::string read(T& out, const Value& value) const {
    Strings known;
    for (const auto& [word, meaning] : words) {
      known.emplace_back(word);
      if (is_word(value, word)) return out = meaning, "";
    }
    return fmt::format("one of {}", fmt::join(known, ", "));
  }
  std::string write(T value) const { return toml_quoted(std::ranges::find(words, value, &Word<T>::value)->word); }
};

// auto, or one of some words that stand for values
template <typename T>
struct AutoOrWord {
  std::span<const Word<T>> words;

  std::string read(std::optional<T>& out, const Value& value) const {
    if (is_word(value, "auto")) return out.reset(), "";
    Strings known{"auto"};
    for (const auto& [word, meaning] : words) {
      known.emplace_back(word);
      if (is_word(value, word)) return out = meaning, "";
    }
    return fmt::format("one of {}", fmt::join(known, ", "));
  }
  std::string write(std::optional<T> value) const {
    return toml_quoted(value ? std::ranges::find(words, *value, &Word<T>::value)->word : "auto");
  }
};

struct TypeChoice {
  std::vector<DType> types;
  std::string remark = {};

  static std::string word(DType type) { return type == DType::none ? "none" : std::string(name_of(type)); }

  std::string read(DType& out, const Value& value) const {
    Strings words;
    for (DType type : types) {
      words.push_back(word(type));
      if (is_word(value, words.back())) return out = type, "";
    }
    return fmt::format("one of {}{}", fmt::join(words, ", "), remark);
  }
  std::string write(DType value) const { return toml_quoted(word(value)); }
};

struct Weights {
  std::string read(std::vector<double>& out, const Value& value) const {
    constexpr double kMost = 1e30;  // sums of them are finite
    const auto* list = std::get_if<std::vector<double>>(&value);
    const auto* empty = std::get_if<Strings>(&value);
    const bool right = list != nullptr
                           ? std::all_of(list->begin(), list->end(), [](double w) { return w > 0 && w <= kMost; })
                           : empty != nullptr && empty->empty();
    if (!right) return "a list of positive numbers, one per entry of data.train";
    out = list != nullptr ? *list : std::vector<double>();
    return "";
  }
  std::string write(const std::vector<double>& value) const { return toml_text(Value(value)); }
};

struct Paths {
  bool may_be_empty;

  std::string read(Strings& out, const Value& value) const {
    const auto* list = std::get_if<Strings>(&value);
    if (list == nullptr || (list->empty() && !may_be_empty) || !std::all_of(list->begin(), list->end(), is_name))
      return may_be_empty ? "a list of file names" : "a list of at least one file name";
    out = *list;
    return "";
  }
  std::string write(const Strings& value) const { return toml_text(Value(value)); }
};

// auto, none, block, or a list of parts of a block; an empty list is "none"
struct RecomputeSet {
  using Set = std::optional<EnumSet<Recompute>>;

  static std::vector<std::pair<std::string, Set>> words() {
    return {{"auto", {}}, {"none", EnumSet<Recompute>{}}, {"block", EnumSet<Recompute>{Recompute::block}}};
  }
  static Strings parts() {
    Strings names(std::begin(kRecomputeNames), std::end(kRecomputeNames));
    std::erase(names, kRecomputeNames[size_t(Recompute::block)]);
    return names;
  }

  std::string read(Set& out, const Value& value) const {
    for (const auto& [word, set] : words())
      if (is_word(value, word)) return out = set, "";
    const auto* list = std::get_if<Strings>(&value);
    const Strings known = parts();
    if (list == nullptr || !std::ranges::all_of(*list, [&](auto& part) { return contains(known, part); }))
      return fmt::format("auto, none, block, or a list of {}", fmt::join(known, ", "));
    EnumSet<Recompute> set;
    for (const std::string& part : *list)
      set.insert(Recompute(std::ranges::find(kRecomputeNames, part) - std::begin(kRecomputeNames)));
    out = set;
    return "";
  }
  std::string write(const Set& value) const {
    for (const auto& [word, set] : words())
      if (value == set) return toml_quoted(word);
    Strings list;
    for (size_t i = 0; i < std::size(kRecomputeNames); ++i)
      if (value->contains(Recompute(i))) list.emplace_back(kRecomputeNames[i]);
    return toml_text(Value(list));
  }
};

// auto, none, or a list of words that another part knows; an empty list is "none"
struct OffloadWords {
  std::string read(Strings& out, const Value& value) const {
    for (const char* word : {"auto", "none"})
      if (is_word(value, word)) return out = {word}, "";
    const auto* list = std::get_if<Strings>(&value);
    if (list == nullptr) return "auto, none, or a list of words";
    out = list->empty() ? Strings{"none"} : *list;
    return "";
  }
  std::string write(const Strings& value) const {
    return value == Strings{"auto"} || value == Strings{"none"} ? toml_quoted(value[0]) : toml_text(Value(value));
  }
};

// A string that may be empty: nothing is named.
struct OptionalText {
  std::string read(std::string& out, const Value& value) const {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || text->find('\0') != text->npos) return "a string without NUL";
    out = *text;
    return "";
  }
  std::string write(const std::string& value) const { return toml_quoted(value); }
};

struct ModuleSet {
  std::string read(EnumSet<LoraModule>& out, const Value& value) const {
    if (is_word(value, "all-linear")) return out = kAllLinears, "";
    const auto* list = std::get_if<Strings>(&value);
    EnumSet<LoraModule> set;
    for (const std::string& name : list != nullptr ? *list : Strings{}) {
      const auto module = find_module(name);
      if (!module)
        return fmt::format("\"all-linear\" or a list of linears; nearest to '{}': {}", name, nearest_module(name));
      set.insert(*module);
    }
    if (set.empty()) return fmt::format("\"all-linear\" or a list of {}", fmt::join(kLoraModuleNames, ", "));
    out = set;
    return "";
  }
  std::string write(EnumSet<LoraModule> value) const {
    if (value == kAllLinears) return toml_quoted("all-linear");
    Strings names;
    for (size_t m = 0; m < kLoraModules; ++m)
      if (value.contains(LoraModule(m))) names.emplace_back(kLoraModuleNames[m]);
    return toml_text(Value(names));
  }
};

// The shortest that reads back; TOML wants a sign of a float.
std::string float_text(double number) {
  const std::string digits = fmt::format("{}", number);
  return std::isfinite(number) && digits.find_first_of(".e") == std::string::npos ? digits + ".0" : digits;
}

// ---- The table ----

enum class Need { optional, required };

template <typename Section, typename T, typename Kind>
ConfigKey key(const char* name, Section RunConfig::*section, T Section::*member, Kind kind,
              Need need = Need::optional) {
  return {name, need == Need::required,
          [=](RunConfig& config, const Value& value) { return kind.read(config.*section.*member, value); },
          [=](const RunConfig& config) { return kind.write(config.*section.*member); }};
}

const TypeChoice kGradient{{DType::bf16, DType::f32}};
constexpr Word<OptimizerKind> kOptimizerKinds[] = {
    {"adamw", OptimizerKind::adamw},   {"muon", OptimizerKind::muon}, {"apollo", OptimizerKind::apollo},
    {"galore", OptimizerKind::galore}, {"sgd", OptimizerKind::sgd},   {"adalomo", OptimizerKind::adalomo}};
constexpr Word<ApolloScaling> kScalings[] = {{"channel", ApolloScaling::channel}, {"tensor", ApolloScaling::tensor}};
constexpr Word<ClipBy> kClipBy[] = {{"step", ClipBy::step}, {"tensor", ClipBy::tensor}, {"previous", ClipBy::previous}};
constexpr Word<Release> kReleases[] = {{"none", Release::none}, {"once", Release::once}, {"twice", Release::twice}};
constexpr Word<MuonScale> kMuonScales[] = {{"match_rms_adamw", MuonScale::match_rms_adamw},
                                           {"original", MuonScale::original}};

using C = RunConfig;

std::vector<ConfigKey> keys_of_step() {
  return {
      key("model.path", &C::model, &C::Model::path, Text{}, Need::required),
      key("model.from_scratch", &C::model, &C::Model::from_scratch, Flag{}),
      key("model.seed", &C::model, &C::Model::seed, Count{0, kMax64}),
      key("data.train", &C::data, &C::Data::train, Paths{false}, Need::required),
      key("data.eval", &C::data, &C::Data::eval, Paths{true}),
      key("data.sequence_length", &C::data, &C::Data::sequence_length, Count{1, kMax32}),
      key("data.shuffle", &C::data, &C::Data::shuffle, Flag{}),
      key("data.seed", &C::data, &C::Data::seed, Count{0, kMax64}),
      key("data.separate_documents", &C::data, &C::Data::separate_documents, Flag{}),
      key("data.packing", &C::data, &C::Data::packing, Words<Packing>{kPackings}),
      key("data.weights", &C::data, &C::Data::weights, Weights{}),
      key("data.format", &C::data, &C::Data::format, Words<RawFormat>{kRawFormats}),
      key("data.document_end", &C::data, &C::Data::document_end, AutoOrCount{{0, kMax32}}),
      key("batch.micro_batch", &C::batch, &C::Batch::micro_batch, AutoOrCount{{1, kMax32}}),
      key("batch.gradient_accumulation", &C::batch, &C::Batch::gradient_accumulation, AutoOrCount{{1, kMax32}}),
      key("batch.sequences", &C::batch, &C::Batch::sequences, Count{0, kMax32}),
      key("precision.recipe", &C::precision, &C::Precision::recipe, Choice{{"fp32", "bf16", "fp8"}}),
      key("precision.gradient_dtype", &C::precision, &C::Precision::gradient_dtype, kGradient),
      key("precision.activation_gradient_dtype", &C::precision, &C::Precision::activation_gradient_dtype,
          TypeChoice{{DType::e4m3}, " (e5m2 is reserved)"}),
      key("precision.fast_accumulation", &C::precision, &C::Precision::fast_accumulation, Flag{}),
  };
}

std::vector<ConfigKey> keys_of_optimizer() {
  return {
      key("optimizer.kind", &C::optimizer, &OptimizerOptions::kind, Words<OptimizerKind>{kOptimizerKinds}),
      key("optimizer.learning_rate", &C::optimizer, &OptimizerOptions::learning_rate, Number{0, kMaxF32}),
      key("optimizer.beta1", &C::optimizer, &OptimizerOptions::beta1, Number{0, 1, true}),
      key("optimizer.beta2", &C::optimizer, &OptimizerOptions::beta2, Number{0, 1, true}),
      key("optimizer.epsilon", &C::optimizer, &OptimizerOptions::epsilon, Number{1e-37, kMaxF32}),
      key("optimizer.weight_decay", &C::optimizer, &OptimizerOptions::weight_decay, Number{0, kMaxF32}),
      key("optimizer.grad_clip", &C::optimizer, &OptimizerOptions::grad_clip, Number{0, kMaxF32}),
      key("optimizer.clip_by", &C::optimizer, &OptimizerOptions::clip_by, Words<ClipBy>{kClipBy}),
      key("optimizer.z_loss", &C::optimizer, &OptimizerOptions::z_loss, Number{0, kMaxF32}),
      key("optimizer.momentum", &C::optimizer, &OptimizerOptions::momentum, Number{0, 1, true}),
      key("optimizer.nesterov", &C::optimizer, &OptimizerOptions::nesterov, Flag{}),
      key("optimizer.muon_scale", &C::optimizer, &OptimizerOptions::muon_scale, Words<MuonScale>{kMuonScales}),
      key("optimizer.projection_rank", &C::optimizer, &OptimizerOptions::projection_rank,
          Count{1, kMostProjectionRank}),
      key("optimizer.projection_every", &C::optimizer, &OptimizerOptions::projection_every, Count{1, kMax32}),
      key("optimizer.projection_scale", &C::optimizer, &OptimizerOptions::projection_scale, Number{1e-30, kMaxF32}),
      key("optimizer.scaling", &C::optimizer, &OptimizerOptions::scaling, Words<ApolloScaling>{kScalings}),
      key("optimizer.m_dtype", &C::optimizer, &OptimizerOptions::m_dtype,
          TypeChoice{{DType::bf16, DType::f32, DType::e4m3}}),
      key("optimizer.v_dtype", &C::optimizer, &OptimizerOptions::v_dtype,
          TypeChoice{{DType::bf16, DType::f32, DType::e5m3}}),
      key("optimizer.master_dtype", &C::optimizer, &OptimizerOptions::master_dtype,
          TypeChoice{{DType::none, DType::f32}}),
  };
}

std::vector<ConfigKey> keys_of_run() {
  return {
      key("schedule.steps", &C::schedule, &C::Schedule::steps, Count{1, kMax32}),
      key("schedule.warmup_steps", &C::schedule, &C::Schedule::warmup_steps, Count{0, kMax32}),
      key("schedule.kind", &C::schedule, &C::Schedule::kind, Choice{{"cosine", "linear", "constant"}}),
      key("schedule.final_fraction", &C::schedule, &C::Schedule::final_fraction, Number{0, 1}),
      key("memory.device", &C::memory, &C::Memory::device, AutoOrSize{}),
      key("memory.host", &C::memory, &C::Memory::host, AutoOrSize{}),
      key("memory.recompute", &C::memory, &C::Memory::recompute, RecomputeSet{}),
      key("memory.offload", &C::memory, &C::Memory::offload, OffloadWords{}),
      key("memory.lm_head_chunks", &C::memory, &C::Memory::lm_head_chunks, AutoOrCount{{1, kMax32}}),
      key("memory.attention_chunks", &C::memory, &C::Memory::attention_chunks, AutoOrCount{{1, kMostAttentionChunks}}),
      key("memory.release_gradients", &C::memory, &C::Memory::release_gradients, AutoOrWord<Release>{kReleases}),
      key("lora.rank", &C::lora, &C::Lora::rank, Count{0, kMostLoraRank}),
      key("lora.alpha", &C::lora, &C::Lora::alpha, Number{1e-30, kMaxF32}),
      key("lora.target_modules", &C::lora, &C::Lora::target_modules, ModuleSet{}),
      key("lora.rslora", &C::lora, &C::Lora::rslora, Flag{}),
      key("lora.first_layer", &C::lora, &C::Lora::first_layer, Count{0, kMax32}),
      key("lora.dropout", &C::lora, &C::Lora::dropout, Number{0, 0}),
      key("lora.adapter", &C::lora, &C::Lora::adapter, OptionalText{}),
      key("replay.directory", &C::replay, &C::Replay::directory, OptionalText{}),
      key("replay.rounding", &C::replay, &C::Replay::rounding, Flag{}),
      key("distributed.devices", &C::distributed, &C::Distributed::devices, Count{1, 65536}),
      key("distributed.zero", &C::distributed, &C::Distributed::zero, Count{1, 3}),
      key("distributed.collectives", &C::distributed, &C::Distributed::collectives, Choice{{"auto", "nccl", "copy"}}),
      key("distributed.ranks_per_device", &C::distributed, &C::Distributed::ranks_per_device, Count{1, 64}),
      key("checkpoint.every", &C::checkpoint, &C::Checkpoint::every, Count{1, kMax32}),
      key("checkpoint.keep", &C::checkpoint, &C::Checkpoint::keep, Count{1, kMax32}),
      key("run.directory", &C::run, &C::Run::directory, Text{}, Need::required),
      key("run.backend", &C::run, &C::Run::backend, Text{}),
      key("run.eval_every", &C::run, &C::Run::eval_every, Count{0, kMax32}),
      key("run.eval_windows", &C::run, &C::Run::eval_windows, Count{0, kMax64}),
      key("run.max_skipped", &C::run, &C::Run::max_skipped, Count{1, kMax32}),
  };
}

std::vector<ConfigKey> make_keys() {
  std::vector<ConfigKey> keys = keys_of_step();
  for (const auto& more : {keys_of_optimizer(), keys_of_run()}) keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

}  // namespace

std::span<const ConfigKey> config_keys() {
  static const std::vector<ConfigKey> keys = make_keys();
  return keys;
}

std::string toml_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += fmt::format("\\{}", c);
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) out += fmt::format("\\u{:04X}", c);
    else out += c;
  }
  return out + '"';
}

std::string toml_text(const ConfigValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const auto* text = std::get_if<std::string>(&value)) return toml_quoted(*text);
  if (const auto* number = std::get_if<double>(&value)) return float_text(*number);
  if (const auto* numbers = std::get_if<std::vector<double>>(&value)) {
    Strings texts;
    for (const double number : *numbers) texts.push_back(float_text(number));
    return fmt::format("[{}]", fmt::join(texts, ", "));
  }
  if (const auto* list = std::get_if<Strings>(&value)) {
    Strings quoted;
    for (const auto& item : *list) quoted.push_back(toml_quoted(item));
    return fmt::format("[{}]", fmt::join(quoted, ", "));
  }
  return "something else";
}

}  // namespace tandem
