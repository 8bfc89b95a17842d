#include "core/model/weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "core/abi/numeric.h"
#include "core/base/json.h"
#include "core/model/model_directory.h"
#include "core/model/normal.h"
#include "tests/support/temporary.h"

using namespace tandem;
using test::check_fails;
using test::TemporaryDirectory;

namespace {

ModelConfig small(Family family, bool tied) {
  ModelConfig c;
  c.family = family;
  c.vocabulary = 19, c.hidden = 16, c.ffn = 24, c.layers = 2, c.q_heads = 2, c.kv_heads = 1, c.head_dim = 8;
  c.tied = tied;
  c.qkv_bias = family == Family::qwen2;
  return c;
}

std::vector<std::string> names(const std::vector<ParameterSpec>& specs) {
  std::vector<std::string> list;
  for (const ParameterSpec& spec : specs) list.push_back(spec.name);
  return list;
}

const ParameterSpec& find(const std::vector<ParameterSpec>& specs, const std::string& name) {
  for (const ParameterSpec& spec : specs)
    if (spec.name == name) return spec;
  fail(Exit::internal, "test", "no parameter {}", name);
}

using Values = std::map<std::string, std::vector<float>>;

// stored tensors of which no two elements are alike
Values stored_values(const std::vector<ParameterSpec>& specs) {
  Values values;
  float next = 1;
  for (const ParameterSpec& spec : specs)
    for (const StoredTensor& part : spec.parts)
      for (uint64_t i = 0; i < part.shape.count(); ++i) values[part.name].push_back(next++);
  return values;
}

// a parameter as it should be loaded: its stored tensors' rows, zeros behind those of gate, up and down
std::vector<float> stacked(const ParameterSpec& spec, const Values& values, uint64_t padded_ffn) {
  std::vector<float> all;
  for (const StoredTensor& part : spec.parts) {
    const std::vector<float>& stored = values.at(part.name);
    const size_t begin = all.size(), columns = part.shape.back();
    const bool wider = spec.name.ends_with("down.weight"), higher = spec.name.ends_with("gate_up.weight");
    for (size_t i = 0; i < stored.size(); i += columns) {
      all.insert(all.end(), stored.begin() + ptrdiff_t(i), stored.begin() + ptrdiff_t(i + columns));
      if (wider) all.resize(all.size() + padded_ffn - columns);
    }
    if (higher) all.resize(begin + padded_ffn * columns);
  }
  return all;
}

// the word e mod 4 as a normal value
float drawn(const ModelConfig& config, uint64_t seed, const StoredTensor& part, uint64_t e) {
  const abi::PhiloxWords words = abi::philox(uint32_t(seed), uint32_t(seed >> 32), uint32_t(e / 4), part.number, 0, 4);
  return float(config.initializer_range * abi::inverse_normal(abi::centred_probability(words.word[e % 4])));
}

std::vector<OutputTensor> tensors_of(const std::vector<ParameterSpec>& specs, const Values& values) {
  std::vector<OutputTensor> tensors;
  for (const ParameterSpec& spec : specs)
    for (const StoredTensor& part : spec.parts)
      tensors.push_back({part.name, {DType::f32, part.shape}, [&values, name = part.name] {
                           return std::as_bytes(std::span(values.at(name)));
                         }});
  return tensors;
}

Values load(const std::string& directory, const std::vector<ParameterSpec>& specs) {
  const ModelFiles files(directory);
  check_parameters(files, specs);
  Values loaded;
  for (const ParameterSpec& spec : specs) {
    std::vector<float>& v = loaded[spec.name];
    v.resize(spec.shape.count());
    load_rows(files, spec, 0, DType::f32, std::as_writable_bytes(std::span(v)));
  }
  return loaded;
}

// A whole parameter, T by T.
template <typename T = float>
std::vector<T> draw(const ModelConfig& config, const ParameterSpec& spec, uint64_t seed, DType dtype = DType::f32) {
  std::vector<T> values(spec.shape.count());
  draw_rows(config, spec, seed, 0, dtype, std::as_writable_bytes(std::span(values)));
  return values;
}

struct Drawn {
  uint32_t tensor;
  uint64_t element;
  uint32_t bits;
};

}  // namespace

TEST_CASE("weights: the parameters of each family in order") {
  CHECK(names(parameter_specs(small(Family::llama, false))) ==
        std::vector<std::string>{"embedding.weight", "layers.0.input_norm.weight", "layers.0.qkv.weight",
                                 "layers.0.o.weight", "layers.0.post_norm.weight", "layers.0.gate_up.weight",
                                 "layers.0.down.weight", "layers.1.input_norm.weight", "layers.1.qkv.weight",
                                 "layers.1.o.weight", "layers.1.post_norm.weight", "layers.1.gate_up.weight",
                                 "layers.1.down.weight", "norm.weight", "lm_head.weight"});
  CHECK(find(parameter_specs(small(Family::qwen2, true)), "layers.1.qkv.bias").shape == Shape{32});
  CHECK(parameter_specs(small(Family::qwen2, true)).back().name == "norm.weight");
  CHECK(find(parameter_specs(small(Family::qwen3, true)), "layers.1.k_norm.weight").shape == Shape{8});
  ModelConfig biased = small(Family::llama, false);
  biased.qkv_bias = biased.o_bias = true;
  CHECK(find(parameter_specs(biased), "layers.0.o.bias").parts[0].name == "model.layers.0.self_attn.o_proj.bias");
}

TEST_CASE("weights: stacks, rows and tensor numbers") {
  ModelConfig config = small(Family::llama, false);
  config.layers = 11;
  const auto specs = parameter_specs(config);
  const ParameterSpec& qkv = find(specs, "layers.2.qkv.weight");
  CHECK(qkv.shape == Shape{32, 16});
  REQUIRE(qkv.parts.size() == 3);
  CHECK(qkv.parts[1].name == "model.layers.2.self_attn.k_proj.weight");
  CHECK(qkv.parts[1].shape == Shape{8, 16});
  CHECK(qkv.parts[1].first == 16 * 16);
  CHECK(qkv.parts[2].first == 24 * 16);
  // sorted: lm_head, model.embed_tokens, model.layers.0 (9 tensors, input_layernorm first), .1, .10, .2, ...
  CHECK(find(specs, "lm_head.weight").parts[0].number == 0);
  CHECK(find(specs, "embedding.weight").parts[0].number == 1);
  CHECK(find(specs, "layers.10.input_norm.weight").parts[0].number == 20);
  CHECK(find(specs, "layers.2.input_norm.weight").parts[0].number == 29);
  CHECK(find(specs, "layers.2.qkv.weight").parts[1].number == 34);  // down, gate, up, post norm, k
  CHECK(find(specs, "norm.weight").parts[0].number == 101);
}

TEST_CASE("weights: an ffn width that is no multiple of 8 is padded") {
  for (const auto& [ffn, padded] : {std::pair<uint64_t, uint64_t>(20, 24), {172, 176}, {25, 32}, {32, 32}}) {
    CAPTURE(ffn);
    ModelConfig config = small(Family::llama, true);
    config.ffn = uint32_t(ffn);
    const auto specs = parameter_specs(config);
    const ParameterSpec &gate_up = find(specs, "layers.1.gate_up.weight"), &down = find(specs, "layers.1.down.weight");
    CHECK(gate_up.shape == Shape{2 * padded, 16});
    CHECK(down.shape == Shape{16, padded});
    for (const StoredTensor& part : gate_up.parts) CHECK(part.shape == Shape{ffn, 16});
    CHECK(gate_up.parts[1].first == padded * 16);
    CHECK(down.parts[0].shape == Shape{16, ffn});
    CHECK(down.parts[0].padded() == (ffn != padded));
    CHECK(gate_up.parts[0].padded() == (ffn != padded));
    CHECK_FALSE(find(specs, "layers.1.o.weight").parts[0].padded());
  }
}

TEST_CASE("weights: a stored tensor goes to its place and comes back") {
  ModelConfig config = small(Family::llama, true);
  config.ffn = 20;
  const auto specs = parameter_specs(config);
  const Values values = stored_values(specs);
  for (const ParameterSpec& spec : specs)
    for (const StoredTensor& part : spec.parts) {
      CAPTURE(part.name);
      const auto stored = std::as_bytes(std::span(values.at(part.name)));
      ParameterSpec alone = spec;
      alone.parts = {part};
      const std::vector<float> expected = stacked(alone, values, 24);
      std::vector<std::byte> buffer(4096, std::byte{0xff});
      const auto place = pad(part, DType::f32, stored, buffer);
      CHECK(std::ranges::equal(place, std::as_bytes(std::span(expected))));
      CHECK((place.data() == stored.data()) == !part.padded());  // not copied without need
      std::vector<std::byte> back(place.begin(), place.end());
      unpad(part, DType::f32, back);
      CHECK(std::ranges::equal(back, stored));
    }
}

TEST_CASE("weights: loading stacks rows") {
  const TemporaryDirectory directory;
  for (const Family family : {Family::qwen2, Family::llama, Family::qwen3}) {
    ModelConfig config = small(family, family != Family::llama);
    if (family != Family::qwen2) config.ffn = family == Family::llama ? 20 : 32;
    const auto specs = parameter_specs(config);
    const Values values = stored_values(specs);
    write_model_files(directory.path(), tensors_of(specs, values));
    const Values loaded = load(directory.path(), specs);
    CHECK(loaded.size() == specs.size());
    for (const ParameterSpec& spec : specs) CHECK(loaded.at(spec.name) == stacked(spec, values, config.padded_ffn()));
  }
}

TEST_CASE("weights: a directory that does not fit its config is refused by tensor") {
  const TemporaryDirectory directory;
  const auto specs = parameter_specs(small(Family::llama, true));
  Values values = stored_values(specs);
  values["extra"] = std::vector<float>(19 * 16);
  const auto refuse = [&](const std::vector<OutputTensor>& tensors, std::initializer_list<std::string> words) {
    write_model_files(directory.path(), tensors);
    check_fails(Exit::input, words, [&] { load(directory.path(), specs); });
  };
  const auto extra = [&](const std::string& name, Shape shape, const std::string& from) {
    return OutputTensor{
        name, {DType::f32, std::move(shape)}, [&values, from] { return std::as_bytes(std::span(values.at(from))); }};
  };
  auto tensors = tensors_of(specs, values);
  tensors.push_back(extra("model.layers.0.self_attn.rotary_emb.inv_freq", {19, 16}, "extra"));
  tensors.push_back(extra("lm_head.weight", {19, 16}, "model.embed_tokens.weight"));
  write_model_files(directory.path(), tensors);
  CHECK_NOTHROW(load(directory.path(), specs));

  tensors.back() = extra("lm_head.weight", {19, 16}, "extra");
  refuse(tensors, {"lm_head.weight differs", "tie_word_embeddings"});
  tensors.back() = extra("lm_head.weight", {16, 19}, "model.embed_tokens.weight");
  refuse(tensors, {"lm_head.weight", "(16, 19)"});
  tensors.back() = extra("model.layers.2.mlp.up_proj.weight", {19, 16}, "extra");
  refuse(tensors, {"model.layers.2.mlp.up_proj.weight", "no parameter"});
  tensors.pop_back();
  tensors[2].desc.shape = {8, 32};
  refuse(tensors, {"model.layers.0.self_attn.q_proj.weight", "(8, 32)", "(16, 16)"});
  tensors.erase(tensors.begin() + 2);
  refuse(tensors, {"model.layers.0.self_attn.q_proj.weight is missing"});
}

// References: erfc inverted by Newton's method with 40 digits (mpmath).
TEST_CASE("weights: inverse normal") {
  constexpr std::pair<uint32_t, double> kReference[] = {{0x0u, -6.3379577545537893},
                                                        {0x1u, -6.1664295178197502},
                                                        {0x2u, -6.085104545783031},
                                                        {0xau, -5.8508917606424578},
                                                        {0x64u, -5.4630625543895387},
                                                        {0x1388u, -4.722595291029771},
                                                        {0xf4240u, -3.4997689887583814},
                                                        {0x1000000u, -2.6600674585799718},
                                                        {0x10000007u, -1.5341205301537027},
                                                        {0x1fffffffu, -1.1503493809415332},
                                                        {0x20000000u, -1.1503493798104832},
                                                        {0x30000001u, -0.88714655772133081},
                                                        {0x60000000u, -0.31863936365736888},
                                                        {0x7ffffffeu, -8.754298118749868e-10},
                                                        {0x7fffffffu, -2.9180993729166227e-10},
                                                        {0x80000000u, 2.9180993729166227e-10},
                                                        {0xdfffffffu, 1.1503493798104832},
                                                        {0xe0000000u, 1.1503493809415332},
                                                        {0xffffffffu, 6.3379577545537893}};
  for (const auto& [word, z] : kReference)
    CHECK(std::abs(abi::inverse_normal(abi::centred_probability(word)) / z - 1) < 1e-12);
}

// The same by the C library's erfc: z solves Phi(z) = p, so z + (p - Phi(z)) / phi(z) is one Newton step away.
TEST_CASE("weights: inverse normal over its whole range") {
  double worst = 0;
  for (uint64_t word = 3; word < uint64_t{1} << 31; word += 1 + word / 500) {
    const double p = (double(word) + 0.5) * 0x1p-32, z = abi::inverse_normal(p - 0.5);
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * std::acos(-1.0));
    const double step = (p - std::erfc(-z / std::sqrt(2.0)) / 2) / density;
    worst = std::max(worst, std::abs(step / z));
  }
  CHECK(worst < 1e-9);
  CHECK(worst > 0);
}

// References: Philox4x32-10 written in Python, checked with Random123's known answer, and mpmath's erfc.
TEST_CASE("weights: drawn parameters") {
  constexpr Drawn kReference[] = {{0, 0, 0xbcd2b20c}, {0, 1, 0xbb45a49f},   {0, 5, 0xbc97613d},
                                  {3, 0, 0xbbfaff4d}, {3, 130, 0xbb846966}, {7, 63, 0xbbb277ce}};
  const ModelConfig config = small(Family::qwen2, true);
  const auto specs = parameter_specs(config);
  std::map<uint32_t, std::vector<float>> f32;  // by tensor number
  for (const ParameterSpec& spec : specs) {
    const std::vector<float> values = draw(config, spec, 0x123456789abcdef0);
    for (const StoredTensor& part : spec.parts)
      for (uint64_t e = 0; e < part.shape.count(); ++e)
        f32[part.number].push_back(values[part.first + part.position(e)]);
  }
  // the embedding, layer 0's gate_proj and its k_proj
  for (const auto& [tensor, element, bits] : kReference)
    CHECK(std::bit_cast<uint32_t>(f32.at(tensor).at(element)) == bits);
  for (const float x : f32.at(find(specs, "layers.0.qkv.bias").parts[0].number)) CHECK(x == 0.0f);
  for (const float x : f32.at(find(specs, "norm.weight").parts[0].number)) CHECK(x == 1.0f);
}

// so large that threads share it
TEST_CASE("weights: an element is drawn by its number alone") {
  ModelConfig config = small(Family::llama, false);
  config.vocabulary = 20000;
  const ParameterSpec spec = find(parameter_specs(config), "embedding.weight");
  const uint64_t rows = spec.shape[0], columns = spec.shape[1];
  REQUIRE(rows * columns > 4 << 16);
  const std::vector<float> whole = draw(config, spec, 7);
  for (uint64_t e = 0; e < rows * columns; e += 4093) CHECK(whole[e] == drawn(config, 7, spec.parts[0], e));
}

TEST_CASE("weights: what is drawn does not depend on the padding, which is zero") {
  ModelConfig config = small(Family::llama, true);
  config.ffn = 21;
  const auto specs = parameter_specs(config);
  Values expected;
  for (const ParameterSpec& spec : specs)
    for (const StoredTensor& part : spec.parts)
      for (uint64_t e = 0; e < part.shape.count(); ++e)
        expected[part.name].push_back(spec.kind == ParameterKind::norm ? 1.0f : drawn(config, 7, part, e));
  for (const ParameterSpec& spec : specs) {
    CAPTURE(spec.name);
    CHECK(draw(config, spec, 7) == stacked(spec, expected, config.padded_ffn()));
  }
}

// 21 columns, so that rows begin at any of a counter's four words
TEST_CASE("weights: some rows are those of the whole, in any order") {
  ModelConfig config = small(Family::qwen2, false);
  config.ffn = 21;
  const auto specs = parameter_specs(config);
  for (const ParameterSpec& spec : specs) {
    CAPTURE(spec.name);
    const std::vector<float> whole = draw(config, spec, 7);
    const uint64_t rows = spec.shape[0], row = whole.size() / rows;
    for (const auto& [first, count] : {std::pair{uint64_t{0}, rows}, {rows / 3, rows / 2}, {rows - 1, uint64_t{1}}}) {
      std::vector<float> some(count * row, -1);
      draw_rows(config, spec, 7, first, DType::f32, std::as_writable_bytes(std::span(some)));
      CHECK(std::ranges::equal(some, std::span(whole).subspan(first * row, count * row)));
    }
  }
}

TEST_CASE("weights: drawn bf16 is drawn f32 rounded") {
  const ModelConfig config = small(Family::llama, false);
  const ParameterSpec spec = find(parameter_specs(config), "layers.1.gate_up.weight");
  const auto wide = draw<uint32_t>(config, spec, 7);
  const auto narrow = draw<uint16_t>(config, spec, 7, DType::bf16);
  for (size_t i = 0; i < wide.size(); ++i) {
    const uint32_t up = wide[i] >> 16 << 16, rest = wide[i] - up;
    const bool rounds_up = rest > 0x8000u || (rest == 0x8000u && (up >> 16 & 1) == 1);
    CHECK(narrow[i] == (up >> 16) + rounds_up);
  }
}

TEST_CASE("model directory: saved whole, with the files of its source, and read back") {
  const TemporaryDirectory directory;
  const std::string source = directory / "source", out = directory / "sub/out";
  make_directories(source);
  const Json config = {{"model_type", "llama"}, {"torch_dtype", "float16"}};
  write_file_synced(source + "/config.json", write_json(config));
  write_file_synced(source + "/tokenizer.json", "{}");
  write_file_synced(source + "/merges.txt", "a b");
  write_file_synced(source + "/other.safetensors", "not copied");
  const auto specs = parameter_specs(small(Family::llama, false));
  const Values values = stored_values(specs);
  size_t calls = 0;
  const ParameterReader reader = [&](const ParameterSpec&, const StoredTensor& part) {
    ++calls;
    return std::as_bytes(std::span(values.at(part.name)));
  };
  SaveOptions options;
  options.extra.push_back({"tokenizer.json", "[1]"});
  options.shard_bytes = 2000;
  save_model_directory(out, source, DType::f32, output_tensors(DType::f32, specs, reader), options);
  CHECK(calls == values.size());
  CHECK(parse_json(read_text(out + "/config.json"), "out")["torch_dtype"] == "float32");
  CHECK(read_text(out + "/tokenizer.json") == "[1]");
  CHECK(read_text(out + "/merges.txt") == "a b");
  CHECK(!file_exists(out + "/other.safetensors"));
  CHECK(file_exists(out + "/model.safetensors.index.json"));
  CHECK(!file_exists(beside(out)));
  const ModelFiles files(out);
  for (const auto& [name, expected] : values) {
    std::vector<float> read(expected.size());
    files.read(name, DType::f32, std::as_writable_bytes(std::span(read)));
    CHECK(read == expected);
  }

  check_fails(Exit::configuration, {out, "not empty"},
              [&] { save_model_directory(out, source, DType::f32, output_tensors(DType::f32, specs, reader)); });
  options = {};
  options.replace = true;
  save_model_directory(out + "/", source, DType::f32, output_tensors(DType::f32, specs, reader), options);
  CHECK(file_exists(out + "/model.safetensors"));
  CHECK(!file_exists(out + "/model.safetensors.index.json"));
  CHECK(!file_exists(beside(beside(out))));
}

TEST_CASE("model directory: a name that cannot be written is refused, and nothing is left beside it") {
  const TemporaryDirectory directory;
  const std::string source = directory / "source", link = directory / "link";
  make_directories(source);
  write_file_synced(source + "/config.json", R"({"model_type": "llama"})");
  make_directories(directory / "empty");
  std::filesystem::create_symlink("empty", link);
  const auto save = [&](const std::string& out) { save_model_directory(out, source, DType::f32, {}); };
  for (const std::string& out : {std::string(), directory / "empty/..", directory / "."})
    check_fails(Exit::configuration, {"directory"}, [&] { save(out); });
  check_fails(Exit::storage, {"too long"}, [&] { save(directory / std::string(300, 'x')); });
  check_fails(Exit::storage, {link}, [&] { save(link); });
  CHECK(!file_exists(beside(link)));
}

TEST_CASE("model directory: tokenizer files come along byte for byte") {
  const TemporaryDirectory directory;
  const std::string source = directory / "source", out = directory / "out";
  const std::pair<const char*, std::string> files[] = {{"tokenizer.model", std::string("\0\xff\r\n", 4)},
                                                       {"tokenizer_config.json", "{\"a\": NaN,\r\n\"a\":1e400}"},
                                                       {"additional_chat_templates/tool use.jinja", "{{ x }}"}};
  make_directories(source + "/additional_chat_templates");
  write_file_synced(source + "/config.json", R"({"model_type": "llama"})");
  for (const auto& [name, text] : files) write_file_synced(fmt::format("{}/{}", source, name), text);
  save_model_directory(out, source, DType::f32, {});
  for (const auto& [name, text] : files) CHECK(read_text(fmt::format("{}/{}", out, name)) == text);
}

TEST_CASE("model directory: a link to nowhere among its files is found before anything is written") {
  const TemporaryDirectory directory;
  std::filesystem::create_symlink("nowhere", directory / "tokenizer.model");
  check_fails(Exit::input, {directory / "tokenizer.model", "No such file"},
              [&] { check_copied_files(directory.path()); });
}

TEST_CASE("model directory: a file to be copied that is none is found before anything is written") {
  const TemporaryDirectory directory;
  make_directories(directory / "tokenizer.json");
  check_fails(Exit::input, {directory / "tokenizer.json", "regular file"},
              [&] { check_copied_files(directory.path()); });
  remove_all(directory / "tokenizer.json");
  CHECK_NOTHROW(check_copied_files(directory.path()));
}
