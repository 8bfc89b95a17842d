#include "core/train/plan_record.h"

#include "core/base/file.h"
#include "core/base/json.h"

namespace tandem {

void write_plan(const std::string& path, const DeviceInfo& device, const StepShape& shape, const MemoryPlan& plan,
                uint64_t device_bytes) {
  Json arenas = Json::array();
  for (const Arena& arena : plan.arenas)
    arenas.push_back(
        {{"name", arena.name}, {"kind", arena.kind == ArenaKind::host ? "host" : "device"}, {"bytes", arena.bytes}});
  const Json record{{"device", {{"backend", device.backend}, {"name", device.name}}},
                    {"device_bytes", device_bytes},
                    {"host_bytes", plan.host_bytes},
                    {"lower_bound_bytes", plan.lower_bound},
                    {"arenas", arenas},
                    {"lm_head_chunks", shape.head_chunks},
                    {"micro_batch", shape.micro_batch}};
  replace_file(path, write_json(record));
}

}  // namespace tandem
