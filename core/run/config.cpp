#include "core/run/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "core/base/edit_distance.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/toml.h"
#include "core/base/utf8.h"
#include "core/data/mixture.h"
#include "core/run/config_keys.h"

namespace tandem {
namespace {

// Where each key got its value, "config.toml:12" or "--section.key"; keys at their default are absent.
using Places = std::map<std::string, std::string>;

std::string_view section_of(std::string_view name) {
  return name.substr(0, name.find('.'));
}

// A name without a section is compared with the part after the section; what was left unfinished is nearest.
std::string nearest_key(std::string_view name) {
  const bool bare = name.find('.') == std::string_view::npos;
  const std::string_view text = name.substr(0, 100);
  const auto distance = [&](const ConfigKey& key) {
    const std::string_view known = std::string_view(key.name).substr(bare ? section_of(key.name).size() + 1 : 0);
    return known.starts_with(text) ? 0 : edit_distance(text, known);
  };
  const auto keys = config_keys();
  return std::min_element(keys.begin(), keys.end(), [&](auto& a, auto& b) { return distance(a) < distance(b); })->name;
}

const ConfigKey* find_key(std::string_view name) {
  for (const ConfigKey& key : config_keys())
    if (key.name == name) return &key;
  return nullptr;
}

const ConfigKey& require_key(const std::string& name, const std::string& place) {
  if (const ConfigKey* key = find_key(name)) return *key;
  fail(Exit::configuration, place, "unknown key {}; the nearest known one is {}", name, nearest_key(name));
}

ConfigValue value_of(const toml::node& node) {
  if (const auto* flag = node.as_boolean()) return flag->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* text = node.as_string()) return text->get();
  const auto* array = node.as_array();
  if (array == nullptr) return {};
  std::vector<std::string> texts;
  std::vector<double> numbers;
  for (const toml::node& item : *array) {
    if (const auto* text = item.as_string()) texts.push_back(text->get());
    if (const auto* number = item.as_floating_point()) numbers.push_back(number->get());
    if (const auto* integer = item.as_integer()) numbers.push_back(double(integer->get()));
  }
  if (!array->empty() && numbers.size() == array->size()) return numbers;
  if (texts.size() == array->size()) return texts;
  return {};
}

// Puts one value where it belongs, or says what was expected.
void assign(RunConfig& config, const ConfigKey& key, const ConfigValue& value, const std::string& place,
            Places& places) {
  const std::string expected = key.read(config, value);
  if (!expected.empty())
    fail(Exit::configuration, place, "{} is {}, expected {}", key.name, toml_text(value), expected);
  places[key.name] = place;
}

void read_file(RunConfig& config, std::string_view text, const std::string& path, Places& places) {
  const toml::table root = parse_toml(text, path);
  for (const auto& [section, node] : root) {
    const std::string section_name(section.str());
    const auto* table = node.as_table();
    const auto keys = config_keys();
    const bool known =
        std::any_of(keys.begin(), keys.end(), [&](auto& k) { return section_of(k.name) == section_name; });
    if (known && table == nullptr)
      fail(Exit::configuration, toml_place(node, path), "{} is a section, not a key", section_name);
    if (table == nullptr || (!known && table->empty())) require_key(section_name, toml_place(node, path));
    for (const auto& [name, value] : *table) {
      const std::string full = fmt::format("{}.{}", section_name, name.str());
      assign(config, require_key(full, toml_place(value, path)), value_of(value), toml_place(value, path), places);
    }
  }
}

// The text after '=': a TOML value, else a string as it stands.
ConfigValue override_value(const std::string& text) {
  try {
    const toml::table table = parse_toml("value = " + text, "");
    if (table.size() == 1) return value_of(*table.get("value"));
  } catch (const Error&) {  // a bare word or a path
  }
  return text;
}

void read_override(RunConfig& config, const std::string& flag, Places& places) {
  const size_t equals = flag.find('=');
  if (!flag.starts_with("--") || equals == std::string::npos)
    fail(Exit::configuration, flag, "is not an override, expected --section.key=value");
  const std::string place = flag.substr(0, equals), text = flag.substr(equals + 1);
  if (!is_utf8(flag))
    fail(Exit::configuration, place, "is not UTF-8, in which a configuration is written; rename what it names");
  const ConfigKey& key = require_key(place.substr(2), place);
  const ConfigValue value = override_value(text);
  RunConfig scratch;
  const bool written_as_toml = !text.empty() && std::string_view("[\"'").find(text[0]) != std::string_view::npos;
  if (key.read(scratch, value).empty() || written_as_toml) return assign(config, key, value, place, places);
  // a word where a string or a list of strings is wanted: 2024 can name a directory, a.bin a list of one file
  for (const ConfigValue& word : {ConfigValue(text), ConfigValue(std::vector<std::string>{text})})
    if (key.read(scratch, word).empty()) return assign(config, key, word, place, places);
  assign(config, key, value, place, places);  // fails, saying what was expected
}

std::string place_of(const Places& places, const std::string& key) {
  const auto found = places.find(key);
  return found == places.end() ? key : found->second;
}

// Under fp32 gradients and moments are f32, and the parameters are their own master copies.
void settle_fp32(RunConfig& config, const Places& places) {
  if (config.precision.recipe != "fp32") return;
  const auto settle = [&](const char* key, DType& dtype) {
    if (places.contains(key) && dtype != DType::f32)
      fail(Exit::configuration, places.at(key), "{} is {}, expected f32 under the recipe fp32; leave the key out", key,
           name_of(dtype));
    dtype = DType::f32;
  };
  settle("precision.gradient_dtype", config.precision.gradient_dtype);
  settle("optimizer.m_dtype", config.optimizer.m_dtype);
  settle("optimizer.v_dtype", config.optimizer.v_dtype);
  config.optimizer.master_dtype = DType::none;
}

void check_8bit_states(const RunConfig& config, const Places& places) {
  const OptimizerOptions& o = config.optimizer;
  const bool m = o.m_dtype == DType::e4m3, v = o.v_dtype == DType::e5m3;
  if (m == v) return;
  const auto* one = m ? "optimizer.m_dtype" : "optimizer.v_dtype";
  const auto* other = m ? "optimizer.v_dtype" : "optimizer.m_dtype";
  fail(Exit::configuration, place_of(places, one),
       "{} is {} and {} is {}, expected both in 8 bits or neither; set {} to {}, or leave {} out", one,
       name_of(m ? o.m_dtype : o.v_dtype), other, name_of(m ? o.v_dtype : o.m_dtype), other,
       name_of(m ? DType::e5m3 : DType::e4m3), one);
}

void check_fast_accumulation(const RunConfig& config, const Places& places) {
  if (!config.precision.fast_accumulation || config.precision.recipe == "fp8") return;
  fail(Exit::configuration, place_of(places, "precision.fast_accumulation"),
       "precision.fast_accumulation is of the recipe fp8, not of {}; leave it out", config.precision.recipe);
}

// With sequences, what is not set is auto; what is set must divide a rank's share of them.
void settle_batch(RunConfig& config, const Places& places) {
  RunConfig::Batch& b = config.batch;
  const auto refuse = [&](const char* key, const std::string& what) {
    fail(Exit::configuration, place_of(places, key), "{} {}", key, what);
  };
  if (b.sequences == 0) {
    constexpr const char* kAlone = "is \"auto\", expected a number, or batch.sequences to be set too";
    if (!b.micro_batch) refuse("batch.micro_batch", kAlone);
    if (!b.gradient_accumulation) refuse("batch.gradient_accumulation", kAlone);
    return;
  }
  if (!places.contains("batch.micro_batch")) b.micro_batch.reset();
  if (!places.contains("batch.gradient_accumulation")) b.gradient_accumulation.reset();
  const uint64_t ranks = config.distributed.devices, B = b.micro_batch.value_or(1),
                 A = b.gradient_accumulation.value_or(1), product = ranks * B * A;
  if (b.micro_batch && b.gradient_accumulation ? b.sequences == product : b.sequences % product == 0) return;
  std::string of;
  const auto factor = [&](const char* name, uint64_t value) {
    of += fmt::format("{}{} = {}", of.empty() ? "" : ", ", name, value);
  };
  if (b.micro_batch) factor("batch.micro_batch", B);
  if (b.gradient_accumulation) factor("batch.gradient_accumulation", A);
  if (ranks > 1) factor("distributed.devices", ranks);
  refuse("batch.sequences",
         b.micro_batch && b.gradient_accumulation
             ? fmt::format("is {}, expected {}, the product of {}; use that, 0, or leave one of them out", b.sequences,
                           product, of)
             : fmt::format("is {}, expected a multiple of {}, for {}; use {}", b.sequences, product, of,
                           std::max<uint64_t>(1, (b.sequences + product / 2) / product) * product));
}

// Keys that say how adapters are, where there are none; what adapters do not go with.
void check_lora(const RunConfig& config, const Places& places) {
  const RunConfig defaults;
  if (!config.lora.on()) {
    for (const char* name : {"lora.alpha", "lora.target_modules", "lora.rslora", "lora.first_layer"}) {
      const ConfigKey* key = find_key(name);
      if (key->write(config) == key->write(defaults)) continue;
      fail(Exit::configuration, place_of(places, name),
           "{} is {}, and there is no adapter; set lora.rank or lora.adapter, or leave it out", name,
           key->write(config));
    }
    return;
  }
  if (config.distributed.devices > 1 && config.distributed.zero > 1)
    fail(
        Exit::configuration, place_of(places, "distributed.zero"),
        "distributed.zero is {} and adapters train (lora.rank, lora.adapter), with which each rank has the whole base; "
        "use 1",
        config.distributed.zero);
}

// A replay begins at the lowest layer with adapters, on one device.
void check_replay(const RunConfig& config, const Places& places) {
  const char* key = config.replay.on() ? "replay.directory" : "replay.rounding";
  if (!config.replay.on() && !config.replay.rounding) return;
  const auto refuse = [&](const std::string& why) {
    fail(Exit::configuration, place_of(places, key), "{} is {}, and {}", key, find_key(key)->write(config), why);
  };
  if (!config.lora.on())
    refuse("every parameter trains: no layer stays as it is; set lora.rank and lora.first_layer, or leave it out");
  if (config.lora.adapter.empty() && config.lora.first_layer == 0)
    refuse("lora.first_layer is 0: no layer below the adapters is left out; set that, or leave it out");
  if (config.replay.on() && config.precision.fast_accumulation)
    refuse(
        "precision.fast_accumulation is true: streams are stored with whole sums; set that to false, or leave it out");
  if (config.replay.on() && config.distributed.devices > 1)
    refuse(fmt::format("distributed.devices is {}: a replay runs on one device so far; use 1, or leave it out",
                       config.distributed.devices));
}

// Keys that some kinds of optimizer alone read.
struct KeyOfKinds {
  const char* name;
  std::vector<OptimizerKind> kinds;
};

std::vector<KeyOfKinds> keys_of_kinds() {
  using enum OptimizerKind;
  const std::vector<OptimizerKind> with_adam{adamw, muon, apollo, galore};
  return {{"optimizer.beta1", with_adam},
          {"optimizer.beta2", with_adam},
          {"optimizer.epsilon", with_adam},
          {"optimizer.m_dtype", with_adam},
          {"optimizer.v_dtype", with_adam},
          {"optimizer.momentum", {muon}},
          {"optimizer.nesterov", {muon}},
          {"optimizer.muon_scale", {muon}},
          {"optimizer.projection_rank", {apollo, galore}},
          {"optimizer.projection_every", {apollo, galore}},
          {"optimizer.projection_scale", {apollo, galore}},
          {"optimizer.scaling", {apollo}}};
}

// Keys that the kind of optimizer does not read.
void check_keys_of_kind(const RunConfig& config, const Places& places) {
  const ConfigKey* kind = find_key("optimizer.kind");
  RunConfig unset;
  unset.precision.recipe = config.precision.recipe;
  settle_fp32(unset, {});
  for (const auto& [name, kinds] : keys_of_kinds()) {
    const ConfigKey* key = find_key(name);
    if (std::ranges::find(kinds, config.optimizer.kind) != kinds.end() || key->write(config) == key->write(unset))
      continue;
    std::string readers;
    for (RunConfig reader; const OptimizerKind one : kinds) {
      reader.optimizer.kind = one;
      readers += (readers.empty() ? "" : " or ") + kind->write(reader);
    }
    fail(Exit::configuration, place_of(places, name),
         "{} is {}, which optimizer.kind = {} does not read; leave it out, or set optimizer.kind to {}", name,
         key->write(config), kind->write(config), readers);
  }
}

// What a kind of optimizer does not go with.
void check_optimizer(const RunConfig& config, const Places& places) {
  check_keys_of_kind(config, places);
  if (config.optimizer.kind == OptimizerKind::adamw) return;
  const auto kind = find_key("optimizer.kind")->write(config);
  if (config.optimizer.m_dtype == DType::e4m3 && config.optimizer.kind != OptimizerKind::muon)
    fail(Exit::configuration, place_of(places, "optimizer.m_dtype"),
         "optimizer.m_dtype is \"e4m3\" and optimizer.kind is {}, whose states are not kept in 8 bits; use bf16 or f32",
         kind);
  if (config.lora.on())
    fail(Exit::configuration, place_of(places, "optimizer.kind"),
         "optimizer.kind is {}, and adapters train (lora.rank, lora.adapter), with which \"adamw\" alone goes", kind);
  if (config.distributed.devices > 1)
    fail(
        Exit::configuration, place_of(places, "optimizer.kind"),
        "optimizer.kind is {} and distributed.devices is {}: it trains on one device alone so far; use \"adamw\", or 1",
        kind, config.distributed.devices);
}

// What gradients clipped by tensor, and gradients released in the backward pass, do not go with.
void check_clipping(const RunConfig& config, const Places& places) {
  if (config.optimizer.clip_by == ClipBy::step) return;
  const auto refuse = [&](const std::string& why) {
    fail(Exit::configuration, place_of(places, "optimizer.clip_by"), "optimizer.clip_by is {}, and {}",
         find_key("optimizer.clip_by")->write(config), why);
  };
  if (updates_in_parts(config.optimizer.kind))
    refuse(fmt::format("optimizer.kind is {}, which clips by the norm of a step alone so far; use \"step\"",
                       find_key("optimizer.kind")->write(config)));
  if (config.distributed.devices > 1)
    refuse(
        fmt::format("distributed.devices is {}: ranks take the norm of a whole step alone so far; use \"step\", or 1",
                    config.distributed.devices));
}

void check_release(const RunConfig& config, const Places& places) {
  const Release release = config.memory.release_gradients.value_or(Release::none);
  if (release == Release::none) return;
  const auto refuse = [&](const char* key, const std::string& why) {
    fail(Exit::configuration, place_of(places, "memory.release_gradients"),
         "memory.release_gradients is {}, and {} is {}{}", find_key("memory.release_gradients")->write(config), key,
         find_key(key)->write(config), why);
  };
  if (config.batch.gradient_accumulation != 1u)
    refuse("batch.gradient_accumulation",
           ": a gradient that is used where it is made cannot wait for further micro-steps; set that to 1, or use "
           "\"none\"");
  if (release == Release::once && config.optimizer.clip_by == ClipBy::step)
    refuse("optimizer.clip_by",
           ", which needs all gradients before the first is used; use \"twice\" or \"none\", or set "
           "optimizer.clip_by to \"tensor\" or \"previous\"");
  if (release == Release::twice && config.optimizer.clip_by != ClipBy::step)
    refuse("optimizer.clip_by", ", which needs no pass of its own for the norm; use \"once\" or \"none\"");
  if (updates_in_parts(config.optimizer.kind))
    refuse("optimizer.kind", ", whose updates are not moved into the backward pass; use \"none\"");
  if (config.lora.on())
    refuse(config.lora.rank > 0 ? "lora.rank" : "lora.adapter", ": adapters' gradients are small; use \"none\"");
  if (config.distributed.devices > 1)
    refuse("distributed.devices", ": ranks exchange gradients behind the backward pass so far; use \"none\", or 1");
}

void check_weights(const RunConfig& config, const Places& places) {
  const std::vector<double>& weights = config.data.weights;
  if (weights.empty()) return;
  const std::string place = place_of(places, "data.weights");
  if (weights.size() != config.data.train.size())
    fail(Exit::configuration, place, "data.weights has {} numbers, expected one per entry of data.train, {}",
         weights.size(), config.data.train.size());
  const std::vector<uint32_t> counts = mixture_counts(weights);
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i] == 0)
      fail(Exit::configuration, place, "data.weights gives {} less than one of {} sequences; raise {} or leave it out",
           config.data.train[i], kMixtureBlock, weights[i]);
}

void require_all(const Places& places, const std::string& path) {
  for (const ConfigKey& key : config_keys())
    if (key.required && !places.contains(key.name))
      fail(Exit::configuration, path, "{} is missing; set it in the file or with --{}=...", key.name, key.name);
}

}  // namespace

RunConfig parse_config(std::string_view toml, const std::string& path, std::span<const std::string> overrides) {
  RunConfig config;
  Places places;
  read_file(config, toml, path, places);
  for (const std::string& flag : overrides) read_override(config, flag, places);
  require_all(places, path);
  settle_fp32(config, places);
  settle_batch(config, places);
  check_8bit_states(config, places);
  check_fast_accumulation(config, places);
  check_weights(config, places);
  check_lora(config, places);
  check_replay(config, places);
  check_optimizer(config, places);
  check_clipping(config, places);
  check_release(config, places);
  return config;
}

RunConfig load_config(const std::string& path, std::span<const std::string> overrides) {
  return parse_config(read_text(path, Exit::configuration), path, overrides);
}

std::string config_text(const RunConfig& config) {
  std::string out;
  std::string_view section;
  for (const ConfigKey& key : config_keys()) {
    const std::string_view name = key.name;
    if (section_of(name) != section) out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", section_of(name));
    section = section_of(name);
    out += fmt::format("{} = {}\n", name.substr(section.size() + 1), key.write(config));
  }
  return out;
}

void write_config(const std::string& path, const RunConfig& config) {
  replace_file(path, config_text(config));
}

}  // namespace tandem
