#include "core/model/config.h"

#include "core/base/json.h"
#include "tests/support/temporary.h"

using namespace tandem;
using test::check_fails;

namespace {

constexpr const char* kLlama = R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 96,
  "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 3, "vocab_size": 320,
  "rope_theta": 500000.0, "torch_dtype": "float16"})";

// kLlama with changes: a null value takes the key out
std::string changed(const Json& changes) {
  Json root = parse_json(kLlama, "test");
  for (const auto& item : changes.items()) {
    root.erase(item.key());
    if (!item.value().is_null()) root[item.key()] = item.value();
  }
  return root.dump();
}

struct Parsed {
  ModelConfig config;
  std::vector<std::string> warnings;
};
Parsed parse_text(const std::string& text) {
  Parsed result;
  result.config = parse_model_config(text, "config.json", [&](const std::string& w) { result.warnings.push_back(w); });
  return result;
}
Parsed parse(const Json& changes) {
  return parse_text(changed(changes));
}

void refuse(const Json& changes, std::initializer_list<std::string> words) {
  check_fails(Exit::configuration, words, [&] { parse(changes); });
}

const Json kLlama3 = {{"rope_type", "llama3"},
                      {"factor", 8.0},
                      {"low_freq_factor", 1.0},
                      {"high_freq_factor", 4.0},
                      {"original_max_position_embeddings", 64}};

Json without(Json object, const std::string& key) {
  object.erase(key);
  return object;
}
Json with(Json object, const std::string& key, const Json& value) {
  object[key] = value;
  return object;
}

}  // namespace

TEST_CASE("config: a llama") {
  const auto [c, warnings] = parse_text(kLlama);
  CHECK(warnings.empty());
  CHECK(c.family == Family::llama);
  CHECK(c.vocabulary == 320);
  CHECK(c.hidden == 96);
  CHECK(c.ffn == 256);
  CHECK(c.layers == 2);
  CHECK(c.q_heads == 6);
  CHECK(c.kv_heads == 3);
  CHECK(c.head_dim == 16);
  CHECK(!c.tied);
  CHECK(!c.qkv_bias);
  CHECK(!c.o_bias);
  CHECK(!c.head_norms());
  CHECK(c.rms_epsilon == 1e-6);
  CHECK(c.initializer_range == 0.02);
  CHECK(c.rope == RopeConfig{.theta = 500000});
  CHECK(c.max_positions == 2048);
  CHECK(c.eos_ids == std::vector<uint32_t>{2});  // the family's default
}

TEST_CASE("config: family defaults of transformers 4.57") {
  const ModelConfig llama = parse_text(R"({"model_type": "llama"})").config;
  CHECK(llama.vocabulary == 32000);
  CHECK(llama.ffn == 11008);
  CHECK(llama.kv_heads == 32);
  CHECK(llama.head_dim == 128);
  const ModelConfig qwen2 = parse_text(R"({"architectures": ["Qwen2ForCausalLM"], "num_attention_heads": 64})").config;
  CHECK(qwen2.vocabulary == 151936);
  CHECK(qwen2.hidden == 4096);
  CHECK(qwen2.ffn == 22016);
  CHECK(qwen2.layers == 32);
  CHECK(qwen2.kv_heads == 32);
  CHECK(qwen2.head_dim == 64);
  CHECK(qwen2.qkv_bias);
  CHECK(!qwen2.o_bias);
  CHECK(qwen2.max_positions == 32768);
  CHECK(qwen2.rope.theta == 10000);
  CHECK(qwen2.eos_ids.empty());
  const ModelConfig qwen3 = parse_text(R"({"model_type": "qwen3", "hidden_size": 1000})").config;
  CHECK(qwen3.head_dim == 128);
  CHECK(qwen3.head_norms());
  CHECK(!qwen3.qkv_bias);
}

TEST_CASE("config: keys that are honoured") {
  CHECK(parse(Json{{"num_key_value_heads", nullptr}}).config.kv_heads == 6);
  CHECK(parse(Json{{"head_dim", 24}}).config.head_dim == 24);
  CHECK(parse(Json{{"tie_word_embeddings", true}}).config.tied);
  CHECK(parse(Json{{"rms_norm_eps", 1e-5}}).config.rms_epsilon == 1e-5);
  CHECK(parse(Json{{"initializer_range", 0.1}}).config.initializer_range == 0.1);
  CHECK(parse(Json{{"rope_theta", 10000}}).config.rope.theta == 10000);  // an integer is a number
  const ModelConfig biased = parse(Json{{"attention_bias", true}}).config;
  CHECK(biased.qkv_bias);
  CHECK(biased.o_bias);
  CHECK(parse(Json{{"eos_token_id", {5, 7, 9999}}}).config.eos_ids == std::vector<uint32_t>{5, 7});
  CHECK(parse(Json{{"eos_token_id", 3}}).config.eos_ids == std::vector<uint32_t>{3});
}

TEST_CASE("config: rope in both spellings") {
  const RopeConfig llama3{RopeKind::llama3, 500000, 8, 1, 4, 64},
      linear{.kind = RopeKind::linear, .theta = 500000, .factor = 2};
  CHECK(parse(Json{{"rope_scaling", kLlama3}}).config.rope == llama3);
  CHECK(parse(Json{{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}}).config.rope == linear);
  CHECK(parse(Json{{"rope_scaling", {{"rope_type", "default"}}}}).config.rope == RopeConfig{.theta = 500000});
  const Json parameters = with(kLlama3, "rope_theta", 500000.0);
  CHECK(parse(Json{{"rope_theta", nullptr}, {"rope_parameters", parameters}}).config.rope == llama3);
  CHECK(parse(Json{{"rope_parameters", parameters}, {"rope_scaling", kLlama3}}).config.rope == llama3);
  CHECK(parse(Json{{"rope_theta", nullptr}, {"rope_parameters", {{"rope_type", "default"}}}}).config.rope ==
        RopeConfig{});

  refuse({{"rope_parameters", with(kLlama3, "rope_theta", 1e4)}}, {"rope_theta", "rope_parameters"});
  refuse({{"rope_parameters", parameters}, {"rope_scaling", {{"type", "linear"}, {"factor", 2}}}}, {"rope_scaling"});
  refuse({{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2}}}}, {"rope_scaling.rope_type", "yarn"});
  refuse({{"rope_scaling", {{"type", "dynamic"}, {"factor", 2}}}}, {"rope_scaling.type", "dynamic"});
  refuse({{"rope_scaling", {{"type", "linear"}, {"rope_type", "default"}}}}, {"rope_scaling.type"});
  refuse({{"rope_scaling", {{"type", "linear"}}}}, {"rope_scaling.factor is missing"});
  refuse({{"rope_scaling", {{"type", "linear"}, {"factor", 0}}}}, {"rope_scaling.factor"});
  refuse({{"rope_scaling", "linear"}}, {"rope_scaling"});
  refuse({{"rope_theta", 0}}, {"rope_theta"});
  for (const char* key : {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"})
    refuse({{"rope_scaling", without(kLlama3, key)}}, {std::string("rope_scaling.") + key + " is missing"});
  refuse({{"rope_scaling", with(kLlama3, "high_freq_factor", 1.0)}}, {"rope_scaling.high_freq_factor"});
  refuse({{"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}}}, {"rope_parameters.full_attention"});
  refuse({{"rope_parameters", {{"partial_rotary_factor", 0.5}}}}, {"rope_parameters.partial_rotary_factor"});
}

TEST_CASE("config: what is not computed is refused by key, its neutral value is not") {
  refuse({{"mlp_bias", true}}, {"mlp_bias"});
  refuse({{"layer_types", {"full_attention"}}}, {"layer_types", "num_hidden_layers"});
  refuse({{"hidden_act", "gelu"}}, {"hidden_act", "gelu"});
  refuse({{"attention_dropout", 0.1}}, {"attention_dropout"});
  refuse({{"quantization_config", {{"bits", 4}}}}, {"quantization_config"});
  refuse({{"partial_rotary_factor", 0.5}}, {"partial_rotary_factor"});
  const Parsed neutral = parse(Json{{"mlp_bias", false},
                                    {"use_sliding_window", false},
                                    {"sliding_window", 4096},
                                    {"layer_types", {"full_attention", "full_attention"}},
                                    {"hidden_act", "silu"},
                                    {"attention_dropout", 0.0},
                                    {"attention_bias", false}});
  CHECK(neutral.warnings.empty());
}

TEST_CASE("config: windows that no layer has are neutral, others are refused") {
  const Json full = {"full_attention", "full_attention"}, one = {"full_attention", "sliding_attention"};
  for (const Json& neutral : {
           Json{{"use_sliding_window", false}, {"sliding_window", 16}, {"max_window_layers", 0}},
           Json{{"use_sliding_window", nullptr}, {"sliding_window", 16}},
           Json{{"use_sliding_window", true}, {"sliding_window", 16}, {"max_window_layers", 2}},
           Json{{"use_sliding_window", true}, {"sliding_window", 16}},  // two layers: none is behind the 28th
           Json{{"use_sliding_window", true}, {"max_window_layers", 0}, {"sliding_window", 2048}},
           Json{{"use_sliding_window", true}, {"max_window_layers", 0}, {"sliding_window", 16}, {"layer_types", full}},
           Json{{"layer_types", one}, {"sliding_window", 2048}},
       }) {
    CAPTURE(neutral.dump());
    CHECK_NOTHROW(parse(neutral));
  }
  Json null_window = parse_json(kLlama, "test");
  null_window.update({{"use_sliding_window", true}, {"max_window_layers", 0}, {"sliding_window", nullptr}});
  CHECK_NOTHROW(parse_text(null_window.dump()));

  const Json windows = {{"use_sliding_window", true}, {"max_window_layers", 1}};
  refuse(with(windows, "sliding_window", 2047), {"use_sliding_window is true", "from 2,", "from 2048,"});
  refuse(with(windows, "max_position_embeddings", 8192), {"use_sliding_window"});  // 4096 where the key is absent
  refuse({{"use_sliding_window", true}, {"num_hidden_layers", 30}, {"sliding_window", 16}}, {"use_sliding_window"});
  refuse(with(windows, "sliding_window", "wide"), {"sliding_window"});
  refuse({{"layer_types", one}, {"sliding_window", 2047}}, {"layer_types", "sliding_attention"});
  refuse({{"layer_types", {"full_attention", "chunked_attention"}}}, {"layer_types", "chunked_attention"});
}

TEST_CASE("config: families and architectures") {
  for (const char* type : {"llama", "qwen2", "qwen3"})
    CHECK_NOTHROW(parse({{"architectures", nullptr}, {"model_type", type}}));
  CHECK(parse({{"architectures", {"LlamaForCausalLM", "Qwen2ForCausalLM"}}}).config.family == Family::llama);
  CHECK(parse({{"architectures", {"OwnClass", "Qwen2ForCausalLM"}}, {"model_type", "qwen2"}}).config.family ==
        Family::qwen2);
  CHECK(parse({{"architectures", {"Qwen3ForCausalLM"}}, {"model_type", nullptr}}).config.family == Family::qwen3);
  refuse({{"architectures", {"MistralForCausalLM"}}}, {"architectures", "MistralForCausalLM"});
  refuse({{"architectures", {"MistralForCausalLM"}}, {"model_type", nullptr}}, {"architectures", "MistralForCausalLM"});
  refuse({{"architectures", Json::array()}}, {"architectures", "LlamaForCausalLM"});
  refuse({{"architectures", "LlamaForCausalLM"}}, {"architectures", "list"});
  refuse({{"model_type", "qwen2"}}, {"model_type", "Qwen2ForCausalLM"});
  refuse({{"model_type", "mistral"}}, {"model_type", "mistral"});
  refuse({{"architectures", nullptr}, {"model_type", "gpt2"}}, {"model_type", "gpt2"});
  refuse({{"architectures", nullptr}, {"model_type", nullptr}}, {"model_type is missing"});
}

TEST_CASE("config: any ffn width, padded to a multiple of 8") {
  for (const auto& [ffn, padded] :
       {std::pair<uint32_t, uint32_t>(1, 8), {8, 8}, {17, 24}, {172, 176}, {255, 256}, {256, 256}}) {
    const ModelConfig c = parse({{"intermediate_size", ffn}}).config;
    CHECK(c.ffn == ffn);
    CHECK(c.padded_ffn() == padded);
  }
}

TEST_CASE("config: sizes that do not fit") {
  refuse({{"hidden_size", 72}}, {"head_dim", "hidden_size / num_attention_heads) is 12", "multiple of 8"});
  check_fails(Exit::configuration, {"key hidden_size is 4096", "num_attention_heads 7"},
              [] { parse_text(R"({"model_type": "qwen2", "num_attention_heads": 7})"); });
  refuse({{"head_dim", 20}}, {"key head_dim is 20", "multiple of 8"});
  refuse({{"hidden_size", 100}}, {"hidden_size", "num_attention_heads"});
  refuse({{"hidden_size", 100}, {"head_dim", 16}}, {"hidden_size", "multiple of 8"});
  refuse({{"hidden_size", 60}, {"head_dim", 16}}, {"hidden_size", "multiple of 8"});
  refuse({{"intermediate_size", 0}}, {"intermediate_size"});
  const uint64_t most = (1 << 24) - 8;  // with 128 columns, 2^32 elements of gate and up are 8 rows away
  refuse({{"hidden_size", 128}, {"head_dim", 16}, {"intermediate_size", most + 1}}, {"2^32 elements"});
  CHECK(parse({{"hidden_size", 128}, {"head_dim", 16}, {"intermediate_size", most}}).config.ffn == most);
  refuse({{"head_dim", 12}}, {"head_dim", "multiple of 8"});
  refuse({{"head_dim", 264}}, {"head_dim"});
  refuse({{"num_attention_heads", 12}, {"hidden_size", 48}}, {"head_dim"});  // 4
  refuse({{"num_key_value_heads", 4}}, {"num_key_value_heads"});
  refuse({{"num_hidden_layers", 0}}, {"num_hidden_layers"});
  refuse({{"vocab_size", -1}}, {"vocab_size is -1"});
  refuse({{"vocab_size", 320.0}}, {"vocab_size is 320.0"});
  refuse({{"vocab_size", "320"}}, {"vocab_size"});
  refuse({{"vocab_size", 2000000000}}, {"2^32 elements"});
  refuse({{"rms_norm_eps", -1}}, {"rms_norm_eps"});
  refuse({{"tie_word_embeddings", 1}}, {"tie_word_embeddings"});
  refuse({{"eos_token_id", "2"}}, {"eos_token_id"});
}

TEST_CASE("config: malformed files exit 2") {
  const auto refuse_text = [](const std::string& text, std::string word) {
    check_fails(Exit::configuration, {"config.json", word}, [&] { parse_text(text); });
  };
  refuse_text("{\n\"vocab_size\": }", "line 2");
  refuse_text("[]", "object");
  refuse_text(R"({"model_type": "llama", "model_type": "llama"})", "twice");
  check_fails(Exit::configuration, {"/config.json", "No such file"},
              [] { load_model_config(test::TemporaryDirectory().path(), [](const std::string&) {}); });
}

TEST_CASE("config: unknown keys make one warning") {
  const Parsed parsed = parse(Json{{"strange", 1}, {"odd", {1}}});
  REQUIRE(parsed.warnings.size() == 1);
  CHECK(parsed.warnings[0].find("strange, odd") != std::string::npos);
  CHECK(parse(Json{{"rope_scaling", {{"type", "default"}, {"factor", 2}}}}).warnings.size() == 1);
}

TEST_CASE("config: the output repeats the input but for the dtype") {
  const Json before = parse_json(kLlama, "test");
  const Json f32 = parse_json(rewrite_model_config(kLlama, "config.json", DType::f32), "out");
  CHECK(f32 == with(before, "torch_dtype", "float32"));
  CHECK(f32.items().begin().key() == "architectures");
  const std::string modern = changed({{"torch_dtype", nullptr}, {"dtype", "float32"}, {"strange", {1, 1e-6}}});
  CHECK(parse_json(rewrite_model_config(modern, "config.json", DType::bf16), "out") ==
        with(parse_json(modern, "test"), "dtype", "bfloat16"));
  const std::string neither = changed({{"torch_dtype", nullptr}});
  CHECK(parse_json(rewrite_model_config(neither, "config.json", DType::bf16), "out") ==
        with(parse_json(neither, "test"), "torch_dtype", "bfloat16"));
}

TEST_CASE("config: what is not read is read by nobody's rules, and stays as it was spelled") {
  const std::string odd =
      R"("a": 1e400, "a": NaN, "limit": 1000000000000000019884624838656, "o": {"x": -Infinity, "x": 1.50})";
  const std::string text = std::string(kLlama).insert(1, odd + ",\n  ");
  CHECK(parse_text(text).config.layers == 2);
  const std::string out = rewrite_model_config(text, "config.json", DType::bf16);
  CHECK(out.find(odd) == 1);
  CHECK(out == std::string(text).replace(text.find("float16"), 7, "bfloat16"));

  for (const char* key : {"hidden_size", "rope_theta", "rms_norm_eps", "torch_dtype"}) {
    CAPTURE(key);
    const std::string twice = fmt::format(R"({{"{0}": 1, "{0}": 1, {1})", key, std::string(kLlama).substr(1));
    check_fails(Exit::configuration, {key, "twice"}, [&] { rewrite_model_config(twice, "config.json", DType::f32); });
  }
  for (const char* value : {"NaN", "1e400", "Infinity"}) {
    CAPTURE(value);
    const std::string bad = fmt::format(R"({{"rms_norm_eps": {}, {})", value, std::string(kLlama).substr(1));
    check_fails(Exit::configuration, {"rms_norm_eps"}, [&] { parse_text(bad); });
  }
}

TEST_CASE("config: the output spells rope_parameters for transformers 4 too, and is read back alike") {
  for (const Json& rope :
       {Json(kLlama3), Json{{"rope_type", "linear"}, {"factor", 2.5}}, Json{{"rope_type", "default"}}}) {
    const std::string in = changed({{"rope_theta", nullptr}, {"rope_parameters", with(rope, "rope_theta", 5e5)}});
    const std::string out = rewrite_model_config(in, "config.json", DType::f32);
    const Json root = parse_json(out, "out");
    CHECK(root["rope_theta"] == 5e5);
    CHECK(root["rope_scaling"] == (rope["rope_type"] == "default" ? Json(nullptr) : rope));
    CHECK(root["rope_parameters"] == with(rope, "rope_theta", 5e5));
    CHECK(parse_text(out).config.rope == parse_text(in).config.rope);
    CHECK(rewrite_model_config(out, "config.json", DType::f32) == out);
  }
}

TEST_CASE("config: generation_config.json's end ids come first") {
  const test::TemporaryDirectory directory;
  const ModelConfig config = parse_text(kLlama).config;
  CHECK(generation_eos_ids(directory.path(), config) == std::vector<uint32_t>{2});
  write_file_synced(directory / "generation_config.json", R"({"eos_token_id": [7, 8]})");
  CHECK(generation_eos_ids(directory.path(), config) == std::vector<uint32_t>{7, 8});
  write_file_synced(directory / "generation_config.json", R"({"temperature": 1})");
  CHECK(generation_eos_ids(directory.path(), config) == std::vector<uint32_t>{2});
}
