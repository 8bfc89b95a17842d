// A device described by a file: what `tandem plan --device NAME` compiles for, with no device there.
// configs/devices/NAME.toml:
//   name                              text, as the driver reports it
//   compute_capability                "8.9"; fp8 wants 8.9 or more and an e4m3 rate
//   [memory] device, reserve, workspace, staging    sizes as in a configuration; staging 0 unless given
//   [limits] queues, alignment, largest_arena       largest_arena: all memory unless given
//   [rates] e4m3, bf16, f32 (FLOP/s), multiprocessors, bandwidth, host_to_device, device_to_host (bytes/s), launch (s)
//   [reached] e4m3, bf16, f32 (of those rates), attention (of bf16's): the shares that large operands reach
// Every key is required but e4m3 and those with a value named above; an unknown one is refused.
#pragma once

#include "core/runtime/backend.h"

namespace tandem {

struct DeviceTable {
  Target target;
  DeviceInfo info;  // backend "table"
};

// Exit::configuration naming path and line: not TOML, unknown or missing keys, wrong types or ranges.
DeviceTable parse_device_table(std::string_view text, const std::string& path);

// name: that of a file of a directory in device_directories(), without .toml, or the path of a file that ends in .toml.
// Exit::configuration, listing the known names, when there is none.
DeviceTable load_device_table(const std::string& name);

// configs/devices of the current directory, and beside or above the executable; those that exist
std::vector<std::string> device_directories();
std::vector<std::string> device_table_names();  // sorted

// Rates of the table whose name is the device's, where a backend knows none; unknown ones when no table has it.
Rates rates_by_name(std::string_view device_name);

}  // namespace tandem
