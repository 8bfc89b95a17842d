#include "core/model/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <filesystem>

#include "core/abi/numeric.h"
#include "core/base/json.h"

namespace tandem {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian and read in place");

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeader = 100'000'000;

struct TypeRow {
  std::string_view name;
  uint64_t size;
};
// by StoredType
constexpr std::array<TypeRow, 15> kTypes{{{"F16", 2},
                                          {"BF16", 2},
                                          {"F32", 4},
                                          {"F64", 8},
                                          {"F8_E4M3", 1},
                                          {"F8_E5M2", 1},
                                          {"I8", 1},
                                          {"I16", 2},
                                          {"I32", 4},
                                          {"I64", 8},
                                          {"U8", 1},
                                          {"U16", 2},
                                          {"U32", 4},
                                          {"U64", 8},
                                          {"BOOL", 1}}};

StoredType parse_type(std::string_view name, const std::string& file, const std::string& tensor) {
  const auto row = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& t) { return t.name == name; });
  if (row == kTypes.end()) fail(Exit::input, file, "tensor {:.200} has the unknown dtype {:.60}", tensor, name);
  return StoredType(row - kTypes.begin());
}

std::string_view header_text(const MappedFile& file) {
  const auto bytes = file.bytes();
  if (bytes.size() < kLengthBytes)
    fail(Exit::input, file.path(), "has {} bytes, no room for a safetensors header", bytes.size());
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeader)
    fail(Exit::input, file.path(), "the header is said to take {} bytes, at most {} were expected", length, kMaxHeader);
  if (length > bytes.size() - kLengthBytes)
    fail(Exit::input, file.path(), "the header is said to take {} bytes and ends past the file's {} bytes", length,
         bytes.size());
  if (length == 0) fail(Exit::input, file.path(), "the header is empty");
  return {reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, size_t(length)};
}

void check_metadata(const Json& metadata, const std::string& file) {
  const JsonObject object(metadata, file, Exit::input, "__metadata__");
  for (const auto& item : metadata.items())
    if (!item.value().is_string()) object.wrong(item.key(), "a string");
}

// offsets as the header gives them, from the end of the header
StoredInfo parse_tensor(const std::string& name, const Json& value, const std::string& file) {
  const JsonObject object(value, file, Exit::input, name);
  for (const std::string_view key : {"dtype", "shape", "data_offsets"}) object.require(key);
  for (const std::string& key : object.keys())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      fail(Exit::input, file, "tensor {:.200} has the unknown key {:.60}", name, key);

  const std::vector<uint64_t> sizes = *object.integers("shape");
  if (sizes.size() > Shape::kMostRank)
    fail(Exit::input, file, "tensor {:.200} has {} axes; no tensor of a model here has more than {}", name,
         sizes.size(), Shape::kMostRank);
  StoredInfo info{parse_type(*object.string("dtype"), file, name), Shape(sizes)};
  const std::vector<uint64_t> offsets = *object.integers("data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1]) object.wrong("data_offsets", "[begin, end] with begin <= end");
  info.begin = offsets[0], info.end = offsets[1];

  uint64_t bytes = size_of(info.type);
  for (uint64_t size : info.shape.sizes())
    if (__builtin_mul_overflow(bytes, size, &bytes))
      fail(Exit::input, file, "tensor {:.200} of shape {} has 2^64 bytes or more", name, info.shape);
  if (bytes != info.end - info.begin)
    fail(Exit::input, file, "tensor {:.200} has {} bytes, its dtype {} and shape {} make {}", name,
         info.end - info.begin, name_of(info.type), info.shape, bytes);
  return info;
}

// the tensors tile the data exactly
void check_offsets(const std::map<std::string, StoredInfo>& tensors, uint64_t data_bytes, const std::string& file) {
  std::vector<const std::pair<const std::string, StoredInfo>*> order;
  order.reserve(tensors.size());
  for (const auto& entry : tensors) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  uint64_t at = 0;
  for (const auto* entry : order) {
    const auto& [name, info] = *entry;
    if (info.end > data_bytes)
      fail(Exit::input, file, "tensor {:.200} ends at byte {} of {}; the file is truncated", name, info.end,
           data_bytes);
    if (info.begin != at)
      fail(Exit::input, file,
           "tensor {:.200} begins at byte {}, {} was expected: tensors must neither overlap nor "
           "leave holes",
           name, info.begin, at);
    at = info.end;
  }
  if (at != data_bytes) fail(Exit::input, file, "{} bytes follow the last tensor", data_bytes - at);
}

// IEEE binary16 to binary32, exact
float f32_from_f16(uint16_t code) {
  const uint32_t sign = uint32_t(code & 0x8000u) << 16;
  const uint32_t exponent = (code >> 10) & 0x1fu, mantissa = code & 0x3ffu;
  if (exponent == 0) return abi::bits_float(sign | abi::float_bits(float(mantissa) * 0x1p-24f));
  if (exponent == 31) return abi::bits_float(sign | 0x7f800000u | (mantissa << 13));
  return abi::bits_float(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

template <typename From, typename To, typename Convert>
void convert(std::span<const std::byte> in, std::span<std::byte> out, Convert element) {
  const size_t count = out.size() / sizeof(To);
  for (size_t i = 0; i < count; ++i) {  // memcpy: neither side need be aligned
    From from;
    std::memcpy(&from, in.data() + i * sizeof(From), sizeof(From));
    const To to = To(element(from));
    std::memcpy(out.data() + i * sizeof(To), &to, sizeof(To));
  }
}

bool stays_inside(const std::string& name) {
  const std::filesystem::path path(name);
  if (path.empty() || path.is_absolute() || name.find('\0') != name.npos) return false;
  return std::none_of(path.begin(), path.end(), [](const auto& part) { return part == ".." || part == "."; });
}

}  // namespace

uint64_t size_of(StoredType type) {
  return kTypes.at(size_t(type)).size;
}
std::string_view name_of(StoredType type) {
  return kTypes.at(size_t(type)).name;
}

StoredType stored_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return StoredType::f32;
    case DType::bf16:
      return StoredType::bf16;
    case DType::e4m3:
      return StoredType::f8_e4m3;
    case DType::u8:
    case DType::e5m3:
      return StoredType::u8;
    default:
      TANDEM_CHECK(false, "tensors are not stored as {}", name_of(dtype));
  }
}

TensorFile::TensorFile(const std::string& path, Exit missing) : file_(path, missing) {
  const std::string_view text = header_text(file_);
  const Json header = parse_json(text, path);
  if (!header.is_object()) fail(Exit::input, path, "the header is {}, an object was expected", header.type_name());
  for (const auto& item : header.items()) {
    if (item.key() == "__metadata__") check_metadata(item.value(), path);
    else tensors_.emplace(item.key(), parse_tensor(item.key(), item.value(), path));
  }
  const uint64_t data = kLengthBytes + text.size();
  check_offsets(tensors_, file_.bytes().size() - data, path);
  for (auto& [name, info] : tensors_) info.begin += data, info.end += data;
}

const StoredInfo& TensorFile::info(const std::string& name) const {
  const auto at = tensors_.find(name);
  if (at == tensors_.end()) fail(Exit::input, path(), "tensor {:.200} is missing", name);
  return at->second;
}

std::span<const std::byte> TensorFile::bytes(const std::string& name) const {
  const StoredInfo& tensor = info(name);
  return file_.bytes().subspan(tensor.begin, tensor.end - tensor.begin);
}

void TensorFile::read(const std::string& name, DType to, std::span<std::byte> out, uint64_t first) const {
  TANDEM_CHECK(to == DType::f32 || to == DType::bf16, "tensors are read as f32 or bf16, not {}", name_of(to));
  const StoredInfo& tensor = info(name);
  const uint64_t count = out.size() / size_of(to), total = tensor.shape.count();
  TANDEM_CHECK(first <= total && count <= total - first && out.size() % size_of(to) == 0,
               "{} elements from {} of tensor {} {}", count, first, name, tensor.shape);
  const auto in = bytes(name).subspan(first * size_of(tensor.type), count * size_of(tensor.type));
  const bool wide = to == DType::f32;
  const auto same = [](auto x) { return x; };
  switch (tensor.type) {
    case StoredType::f32:
      return wide ? convert<float, float>(in, out, same) : convert<float, uint16_t>(in, out, abi::bf16_from_f32);
    case StoredType::bf16:
      return wide ? convert<uint16_t, float>(in, out, abi::f32_from_bf16) : convert<uint16_t, uint16_t>(in, out, same);
    case StoredType::f16:
      return wide
                 ? convert<uint16_t, float>(in, out, f32_from_f16)
                 : convert<uint16_t, uint16_t>(in, out, [](uint16_t x) { return abi::bf16_from_f32(f32_from_f16(x)); });
    default:
      fail(Exit::input, path(), "tensor {:.200} has dtype {}; F32, BF16 or F16 was expected", name,
           name_of(tensor.type));
  }
}

ModelFiles::ModelFiles(const std::string& directory) : directory_(directory) {
  const std::string single = directory + "/model.safetensors", index = single + ".index.json";
  if (file_exists(single)) {
    files_.emplace_back(single);
    for (const auto& [name, info] : files_[0].tensors()) file_of_.emplace(name, 0);
  } else if (file_exists(index)) {
    open_shards(index);
  } else {
    fail(Exit::input, directory,
         "has neither model.safetensors nor model.safetensors.index.json; name a Hugging Face "
         "model directory, or train from_scratch");
  }
}

void ModelFiles::open_shards(const std::string& index) {
  const Json root = parse_json(read_text(index), index);
  const JsonObject object(root, index, Exit::input);
  object.require("weight_map");
  const JsonObject weights = *object.object("weight_map");
  std::map<std::string, size_t> shards;
  for (const auto& item : root["weight_map"].items()) {
    if (!item.value().is_string()) weights.wrong(item.key(), "a file name");
    const std::string shard = item.value().get<std::string>();
    if (!stays_inside(shard)) weights.wrong(item.key(), "a file inside the model's directory");
    const auto [at, is_new] = shards.emplace(shard, files_.size());
    if (is_new) files_.emplace_back(directory_ + "/" + shard);
    if (!files_[at->second].contains(item.key()))
      fail(Exit::input, files_[at->second].path(), "tensor {:.200} is missing, though {} places it here", item.key(),
           index);
    file_of_.emplace(item.key(), at->second);
  }
  for (size_t i = 0; i < files_.size(); ++i)
    for (const auto& [name, info] : files_[i].tensors()) {
      const auto at = file_of_.find(name);
      if (at == file_of_.end() || at->second != i)
        fail(Exit::input, files_[i].path(), "holds tensor {:.200}, which {} {}", name, index,
             at == file_of_.end() ? "does not name" : "places in another file");
    }
}

std::vector<std::string> ModelFiles::names() const {
  std::vector<std::string> list;
  for (const auto& [name, file] : file_of_) list.push_back(name);
  return list;
}

const TensorFile& ModelFiles::file(const std::string& name) const {
  const auto at = file_of_.find(name);
  if (at == file_of_.end()) fail(Exit::input, directory_, "tensor {:.200} is missing from the model's files", name);
  return files_[at->second];
}

}  // namespace tandem
