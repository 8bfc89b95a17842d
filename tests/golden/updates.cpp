#include "tests/golden/updates.h"

#include "core/abi/numeric.h"

namespace tandem::test {

void check_stacked_as_alone(Backend& backend, const OptimizerOptions& options, Precision precision, double rate,
                            uint64_t rows) {
  constexpr uint64_t kColumns = 20;  // so that no part begins at 256 bytes; q is tall, k and v are wide
  const std::vector<StoredTensor> parts{{.name = "q", .shape = {24, kColumns}, .number = 5},
                                        {.name = "k", .shape = {rows, kColumns}, .number = 2},
                                        {.name = "v", .shape = {rows, kColumns}, .number = 9}};
  std::vector<ParameterSpec> alone;
  for (const StoredTensor& part : parts) alone.push_back(stacked(part.name, {part}));
  const ParameterSpec together = stacked("qkv", parts);
  for (const bool master : {false, true}) {
    precision.master = master;
    Updates one(backend, options, precision, {together}), three(backend, options, precision, alone);
    const auto fill = [&](const std::string& suffix, uint32_t seed) {
      std::vector<float> all;
      for (const StoredTensor& part : together.parts) {
        std::vector<float> values(part.shape.count());
        for (uint32_t i = 0; i < values.size(); ++i)
          values[i] = float(int32_t(abi::philox(seed, part.number, i, 0, 0, 0).word[0])) * 0x1p-36f;
        three.write(part.name + suffix, values);
        all.insert(all.end(), values.begin(), values.end());
      }
      one.write("qkv" + suffix, all);
    };
    fill("", 1);
    if (master) fill(".master", 1);
    for (uint32_t s = 0; s < 3; ++s) {
      fill(".gradient", 2 + s);
      one.step(s, rate);
      three.step(s, rate);
    }
    for (const std::string suffix : {"", ".m", ".m_scale", ".v", ".norm", ".column", ".row", ".master"}) {
      if (!one.has("qkv" + suffix)) continue;
      CAPTURE(suffix);
      std::vector<std::byte> expected;
      for (const StoredTensor& part : parts) {
        const std::vector<std::byte> bytes = three.bytes(part.name + suffix);
        expected.insert(expected.end(), bytes.begin(), bytes.end());
      }
      CHECK((one.bytes("qkv" + suffix) == expected));
    }
  }
}

}  // namespace tandem::test
