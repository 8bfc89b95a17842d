// A device described by a file: what `tandem plan --device NAME` compiles for, with no device there.
// configs/devices/NAME.toml:
//   name                              text, as the driver reports it
//   measured                          true: by calibrate(), on that device; false unless given
//   compute_capability                "8.9"; fp8 wants 8.9 or more, and an e4m3 rate; a measured table's is 8.9 unless
//       given
//   [memory] device, reserve, workspace, staging, host    sizes as in a configuration; workspace and staging 0 unless
//       given; host: what the machine around it is assumed to have for a plan, no limit unless given
//   [limits] queues, alignment, largest_arena, largest_operand    the last two: all memory, largest_arena unless given
//   [rates] e4m3, bf16, f32 (FLOP/s), multiprocessors, bandwidth, host_to_device, device_to_host (bytes/s), launch (s),
//       zero_copy (bytes/s of a dispatch that reads host memory and writes as much; the search tries none unless given)
//   [reached] e4m3, bf16, f32 (of those rates), attention, attention_backward (of bf16's; the latter as attention
//       unless given), narrow_attention, narrow_attention_backward (with head_dim up to 64; as the others unless
//       given), bandwidth, optimizer (of the bandwidth; 0.9 unless given), quantize (of the bandwidth, by passes with
//       an e4m3 operand; as bandwidth unless given): the shares that large operands reach
//   [products] sizes (ascending), e4m3, bf16, f32    shares of the rates reached that products with m n k = n^3 get;
//   unless
//       given, the cost model reckons with tiles
//   [links] all_gather, all_to_all (bytes/s over a rank's link), latency (s per exchange): unless given, exchanges take
//       no time. host_total: bytes/s each way to and from the host, all ranks' copies together; no limit unless given
// Every key is required but e4m3 and those that "unless given" stands at; an unknown one is refused.
#pragma once

#include <optional>

#include "core/runtime/backend.h"

namespace tandem {

struct DeviceTable {
  Target target;
  DeviceInfo info;  // backend "table"
  bool measured = false;
};

// The file that parse_device_table reads as this table; its rates are those reached.
std::string device_table_text(const DeviceTable& table);

// Exit::configuration naming path and line: not TOML, unknown or missing keys, wrong types or ranges.
DeviceTable parse_device_table(std::string_view text, const std::string& path);

// name: that of a file of a directory in data_directories("devices"), without .toml, or the path of a file that ends in
// .toml. Exit::configuration, listing the known names, when there is none.
DeviceTable load_device_table(const std::string& name);

std::vector<std::string> device_table_names();  // sorted

// The table whose name is the device's, a measured one first; none when there is none.
std::optional<DeviceTable> device_table_of(std::string_view device_name);

}  // namespace tandem
