#include "core/run/plan_record.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/run/manifest.h"

namespace tandem {

namespace {

template <typename E, typename Names>
Json members(EnumSet<E> set, const Names& names) {
  Json list = Json::array();
  for (size_t i = 0; i < std::size(names); ++i)
    if (set.contains(E(i))) list.push_back(names[i]);
  return list;
}

// the set that all layers share, or one a layer
template <typename E, typename Names>
Json by_layer(const std::vector<EnumSet<E>>& sets, const Names& names) {
  if (std::ranges::all_of(sets, [&](const auto& set) { return set == sets[0]; }))
    return members(sets.empty() ? EnumSet<E>{} : sets[0], names);
  Json list = Json::array();
  for (const auto& set : sets) list.push_back(members(set, names));
  return list;
}

Json by_layer(const std::vector<Copies>& copies) {
  Json list = Json::array();
  for (Copies c : copies) list.push_back(kCopiesNames[size_t(c)]);
  return list;
}

}  // namespace

Json policy_json(const MemoryPolicy& policy, std::span<const std::string> words) {
  Json json{{"recompute", by_layer(policy.recompute, kRecomputeNames)},
            {"offload", by_layer(policy.offload, words)},
            {"offload_outside", members(policy.offload_outside, words)},
            {"fp8_copies", by_layer(policy.copies)},
            {"zero_copy", members(policy.zero_copy, words)},
            {"prefetch_distance", policy.prefetch_distance},
            {"update_distance", policy.update_distance},
            {"attention_chunks", policy.attention_chunks},
            {"optimizer_chunk", policy.optimizer_chunk}};
  if (policy.release != Release::none) json["release_gradients"] = kReleaseNames[size_t(policy.release)];
  return json;
}

void write_plan(const std::string& path, const DeviceInfo& device, const StepShape& shape, const MemoryPolicy& policy,
                std::span<const std::string> words, const MemoryPlan& plan, uint64_t device_bytes,
                const KernelRecord& kernels, const WorldRecord& world, const Json& details) {
  Json arenas = Json::array();
  for (const Arena& arena : plan.arenas)
    arenas.push_back(
        {{"name", arena.name}, {"kind", arena.kind == ArenaKind::host ? "host" : "device"}, {"bytes", arena.bytes}});
  Json from = Json::object();
  for (const auto& [source, count] : kernels.from) from[source] = count;
  Json record{{"device", {{"backend", device.backend}, {"name", device.name}}},
              {"device_bytes", device_bytes},
              {"host_bytes", plan.host_bytes},
              {"lower_bound_bytes", plan.lower_bound},
              {"arenas", arenas},
              {"lm_head_chunks", shape.head_chunks},
              {"micro_batch", shape.micro_batch},
              {"gradient_accumulation", shape.accumulation},
              {"kernels", kernels.kernels},
              {"kernels_from", from},
              {"world", json_of(world)}};
  record.update(policy_json(policy, words));
  record.update(details);
  replace_file(path, write_json(record));
}

}  // namespace tandem
