#include "core/model/safetensors.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/json.h"
#include "core/model/safetensors_writer.h"
#include "tests/support/temporary.h"

using namespace tandem;
using test::check_fails;
using test::TemporaryDirectory;

namespace {

std::string length_bytes(uint64_t length) {
  return {reinterpret_cast<const char*>(&length), sizeof length};
}

// a file of this header and as many zero bytes
std::string file_of(const std::string& header, size_t data) {
  return length_bytes(header.size()) + header + std::string(data, '\0');
}

void refuse(const std::string& content, std::initializer_list<std::string> words) {
  const TemporaryDirectory directory;
  const std::string path = directory / "bad.safetensors";
  write_file_synced(path, content);
  check_fails(Exit::input, {path}, [&] { TensorFile file(path); });
  check_fails(Exit::input, words, [&] { TensorFile file(path); });
}

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

OutputTensor tensor(const std::string& name, const std::vector<float>& values) {
  return {name, {DType::f32, {values.size()}}, [&values] { return bytes_of(values); }};
}

template <typename T>
std::vector<T> read_all(const TensorFile& file, const std::string& name, DType to) {
  std::vector<T> values(file.info(name).shape.count());
  file.read(name, to, std::as_writable_bytes(std::span(values)));
  return values;
}

void write_index(const TemporaryDirectory& directory, const Json& weights) {
  write_file_synced(directory / "model.safetensors.index.json", write_json({{"weight_map", weights}}));
}

}  // namespace

TEST_CASE("safetensors: headers that lie about their length") {
  refuse("", {"0 bytes"});
  refuse("1234567", {"7 bytes"});
  refuse(length_bytes(0), {"header is empty"});
  refuse(length_bytes(uint64_t{1} << 63) + "{}", {"9223372036854775808"});
  refuse(length_bytes(100'000'001) + "{}", {"at most 100000000"});
  refuse(length_bytes(3) + "{}", {"past the file's 10 bytes"});
  refuse(length_bytes(100'000'000) + "{}", {"past the file"});
}

TEST_CASE("safetensors: headers that are not of the format") {
  refuse(file_of("[]", 0), {"object"});
  refuse(file_of("{", 0), {"JSON"});
  refuse(file_of(R"({"a": 1})", 0), {"a is number"});
  refuse(file_of(R"({"__metadata__": {"format": 1}})", 0), {"__metadata__.format"});
  const std::string a = R"("a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})";
  refuse(file_of("{" + a + "," + a + "}", 4), {"\"a\" stands twice"});
  refuse(file_of(R"({"a": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}})", 4), {"tensor a", "F31"});
  refuse(file_of(R"({"a": {"shape": [1], "data_offsets": [0, 4]}})", 4), {"a.dtype is missing"});
  refuse(file_of(R"({"a": {"dtype": "F32", "data_offsets": [0, 4]}})", 4), {"a.shape is missing"});
  refuse(file_of(R"({"a": {"dtype": "F32", "shape": [1]}})", 4), {"a.data_offsets is missing"});
  refuse(file_of(R"({"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}})", 4), {"a.shape"});
  refuse(file_of(R"({"a": {"dtype": "F32", "shape": [1, 1, 1, 1, 1], "data_offsets": [0, 4]}})", 4),
         {"tensor a", "5 axes"});
  refuse(file_of(R"({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", 4), {"a.shape"});
  refuse(file_of(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}})", 4), {"a.data_offsets"});
  refuse(file_of(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", 4), {"a.data_offsets"});
  refuse(file_of(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "x": 1}})", 4), {"unknown key x"});
}

TEST_CASE("safetensors: offsets and shapes that do not tile the data") {
  const auto pair = [](const std::string& first, const std::string& second) {
    return R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": )" + first +
           R"(}, "b": {"dtype": "F32", "shape": [1], "data_offsets": )" + second + "}}";
  };
  refuse(file_of(pair("[0, 4]", "[2, 6]"), 6), {"tensor b", "overlap"});
  refuse(file_of(pair("[0, 4]", "[0, 4]"), 4), {"overlap"});
  refuse(file_of(pair("[0, 4]", "[8, 12]"), 12), {"tensor b", "holes"});
  refuse(file_of(pair("[4, 8]", "[8, 12]"), 12), {"tensor a", "holes"});
  refuse(file_of(pair("[0, 4]", "[4, 8]"), 9), {"1 bytes follow"});
  refuse(file_of(pair("[0, 4]", "[4, 8]"), 7), {"tensor b", "truncated"});
  refuse(file_of(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", 4), {"tensor a", "(2)"});
  refuse(file_of(R"({"a": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}})", 0),
         {"tensor a", "2^64"});
  refuse(file_of(R"({"a": {"dtype": "F32", "shape": [4611686018427387904], "data_offsets": [0, 0]}})", 0), {"2^64"});
}

TEST_CASE("safetensors: order, empty tensors and header padding do not matter") {
  const TemporaryDirectory directory;
  const std::string path = directory / "x.safetensors";
  write_file_synced(path, file_of(R"({"b": {"dtype": "BF16", "shape": [], "data_offsets": [8, 10]},
    "e": {"dtype": "F32", "shape": [0, 3], "data_offsets": [8, 8]},
    "a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}   )",
                                  10));
  const TensorFile file(path);
  CHECK(file.tensors().size() == 3);
  CHECK(file.info("b").shape == Shape{});
  CHECK(file.info("e").shape.count() == 0);
  CHECK(read_all<float>(file, "e", DType::f32).empty());
  check_fails(Exit::input, {"tensor a", "I64"}, [&] { read_all<float>(file, "a", DType::f32); });
  check_fails(Exit::input, {"tensor c is missing"}, [&] { file.info("c"); });
}

// Values and codes by the definition of the formats, worked out by hand.
TEST_CASE("safetensors: f16, bf16 and f32 are read as f32 and bf16, to nearest even") {
  const TemporaryDirectory directory;
  const std::string path = directory / "x.safetensors";
  const std::vector<uint16_t> f16{0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff, 0x7c00, 0x8000, 0x7e00, 0x3c04, 0x3c0c};
  const std::vector<uint16_t> bf16{0x3f80, 0xc040};
  const std::vector<float> f32{1.0f, 1.00390625f, 1.01171875f, -3.0f};  // the two middle ones are ties
  const std::string header = R"({"h": {"dtype": "F16", "shape": [10], "data_offsets": [0, 20]},
    "b": {"dtype": "BF16", "shape": [2], "data_offsets": [20, 24]},
    "f": {"dtype": "F32", "shape": [2, 2], "data_offsets": [24, 40]}})";
  std::string content = length_bytes(header.size()) + header;  // an odd length: the data is not aligned
  content += {reinterpret_cast<const char*>(f16.data()), 20};
  content += {reinterpret_cast<const char*>(bf16.data()), 4};
  content += {reinterpret_cast<const char*>(f32.data()), 16};
  write_file_synced(path, content);
  const TensorFile file(path);

  const std::vector<float> h = read_all<float>(file, "h", DType::f32);
  CHECK(h[0] == 1.0f);
  CHECK(h[1] == -2.0f);
  CHECK(h[2] == 0x1p-24f);
  CHECK(h[3] == 0x1.ff8p-15f);
  CHECK(h[4] == 65504.0f);
  CHECK(h[5] == std::numeric_limits<float>::infinity());
  CHECK((h[6] == 0.0f && std::signbit(h[6])));
  CHECK(std::isnan(h[7]));
  const std::vector<uint16_t> expected{0x3f80, 0xc000, 0x3380, 0x3880, 0x4780, 0x7f80, 0x8000, 0x7fc0, 0x3f80, 0x3f82};
  CHECK(read_all<uint16_t>(file, "h", DType::bf16) == expected);  // the last two are ties
  CHECK(read_all<float>(file, "b", DType::f32) == std::vector<float>{1.0f, -3.0f});
  CHECK(read_all<uint16_t>(file, "b", DType::bf16) == bf16);
  CHECK(read_all<float>(file, "f", DType::f32) == f32);
  CHECK(read_all<uint16_t>(file, "f", DType::bf16) == std::vector<uint16_t>{0x3f80, 0x3f80, 0x3f82, 0xc040});

  std::vector<float> part(2);
  file.read("f", DType::f32, std::as_writable_bytes(std::span(part)), 1);
  CHECK(part == std::vector<float>{1.00390625f, 1.01171875f});
  check_fails(Exit::internal, {"f"}, [&] { file.read("f", DType::f32, std::as_writable_bytes(std::span(part)), 3); });
}

TEST_CASE("safetensors: what is written is the format, and is read back") {
  const TemporaryDirectory directory;
  const std::vector<float> a{1, 2, 3}, b{4};
  const std::vector<OutputTensor> tensors{tensor("z.a", a), tensor("b", b)};
  CHECK(write_model_files(directory.path(), tensors) == std::vector<std::string>{"model.safetensors"});
  const std::string content = read_text(directory / "model.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, content.data(), 8);
  CHECK(length % 8 == 0);
  CHECK(content.size() == 8 + length + 16);
  const std::string header = content.substr(8, length);
  CHECK(header.substr(0, header.find_last_not_of(' ') + 1) ==
        R"({"__metadata__":{"format":"pt"},"z.a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},)"
        R"("b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})");
  const ModelFiles files(directory.path());
  CHECK(files.names() == std::vector<std::string>{"b", "z.a"});
  CHECK(read_all<float>(files.file("z.a"), "z.a", DType::f32) == a);
}

TEST_CASE("safetensors: shards under a limit, and their index") {
  const TemporaryDirectory directory;
  const std::vector<float> a{1, 2, 3}, b{4}, c{5, 6};
  const std::vector<OutputTensor> tensors{tensor("a", a), tensor("b", b), tensor("c", c)};
  CHECK(write_model_files(directory.path(), tensors, 16) == std::vector<std::string>{"model-00001-of-00002.safetensors",
                                                                                     "model-00002-of-00002.safetensors",
                                                                                     "model.safetensors.index.json"});
  const Json index = parse_json(read_text(directory / "model.safetensors.index.json"), "index");
  CHECK(index["metadata"]["total_size"] == 24);
  CHECK(index["weight_map"]["b"] == "model-00001-of-00002.safetensors");
  CHECK(index["weight_map"]["c"] == "model-00002-of-00002.safetensors");
  const ModelFiles files(directory.path());
  CHECK(files.names() == std::vector<std::string>{"a", "b", "c"});
  CHECK(read_all<float>(files.file("c"), "c", DType::f32) == c);
}

TEST_CASE("safetensors: an index that does not fit its shards") {
  const TemporaryDirectory directory;
  const std::vector<float> a{1, 2, 3}, b{4};
  check_fails(Exit::input, {directory.path(), "neither"}, [&] { ModelFiles files(directory.path()); });
  write_safetensors(directory / "1.safetensors", std::vector<OutputTensor>{tensor("a", a)});
  write_safetensors(directory / "2.safetensors", std::vector<OutputTensor>{tensor("b", b)});
  const auto refuse_index = [&](const Json& weights, std::initializer_list<std::string> words) {
    write_index(directory, weights);
    check_fails(Exit::input, words, [&] { ModelFiles files(directory.path()); });
  };
  refuse_index({{"a", "1.safetensors"}, {"b", "3.safetensors"}}, {"3.safetensors", "No such file"});
  refuse_index({{"a", "1.safetensors"}, {"b", "1.safetensors"}}, {"1.safetensors", "tensor b is missing"});
  refuse_index({{"a", "1.safetensors"}, {"c", "2.safetensors"}}, {"2.safetensors", "tensor c is missing"});
  refuse_index({{"a", "1.safetensors"}, {"b", "2.safetensors"}, {"c", 3}}, {"weight_map.c"});
  write_safetensors(directory / "2.safetensors", std::vector<OutputTensor>{tensor("b", b), tensor("a", a)});
  refuse_index({{"a", "1.safetensors"}, {"b", "2.safetensors"}}, {"2.safetensors", "tensor a", "another file"});
  write_safetensors(directory / "2.safetensors", std::vector<OutputTensor>{tensor("b", b), tensor("x", a)});
  refuse_index({{"a", "1.safetensors"}, {"b", "2.safetensors"}}, {"2.safetensors", "tensor x", "not name"});
  for (const char* path : {"../1.safetensors", "/tmp/1.safetensors", "sub/../../1.safetensors", "./1.safetensors", ""})
    refuse_index({{"a", path}}, {"weight_map.a", "inside"});
  write_file_synced(directory / "model.safetensors.index.json", "{}");
  check_fails(Exit::input, {"weight_map is missing"}, [&] { ModelFiles files(directory.path()); });
  write_file_synced(directory / "model.safetensors.index.json", R"({"weight_map": {"a": "1", "a": "2"}})");
  check_fails(Exit::input, {"twice"}, [&] { ModelFiles files(directory.path()); });
}

TEST_CASE("safetensors: model.safetensors goes before an index") {
  const TemporaryDirectory directory;
  const std::vector<float> a{1, 2, 3};
  write_index(directory, {{"a", "nowhere.safetensors"}});
  write_safetensors(directory / "model.safetensors", std::vector<OutputTensor>{tensor("a", a)});
  CHECK(ModelFiles(directory.path()).contains("a"));
}
