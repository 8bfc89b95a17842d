#include "core/plan/byte_table.h"

#include <algorithm>

#include "core/passes/live_bytes.h"

namespace tandem {
namespace {

struct RowName {
  Kind kind;
  std::string_view name;
};
// in the order of the table; kinds that share a name share a row
constexpr RowName kRows[] = {
    {Kind::parameter, "parameters"},
    {Kind::gradient, "gradients"},
    {Kind::state, ""},  // a row per state, by its word
    {Kind::quantized, "quantized copies"},
    {Kind::residual, "activations: residual stream"},
    {Kind::branch, "activations: residual stream"},
    {Kind::attention_norm, "activations: norms"},
    {Kind::ffn_norm, "activations: norms"},
    {Kind::final_norm, "activations: norms"},
    {Kind::qkv, "activations: qkv"},
    {Kind::attention, "activations: attention"},
    {Kind::ffn, "activations: gate and up"},
    {Kind::swiglu, "activations: swiglu"},
    {Kind::cotangent, "activations: gradients"},
    {Kind::logits, "logits"},
    {Kind::io, "inputs and report"},
    {Kind::other, "scalars and tables"},
    {Kind::direction, "workspaces"},
    {Kind::workspace, "workspaces"},
};
static_assert(std::size(kRows) == kKindCount);

std::string_view row_of(const Value& value, std::span<const std::string> words) {
  if (value.kind == Kind::state) return words[value.state];
  return std::ranges::find(kRows, value.kind, &RowName::kind)->name;
}

class Table {
 public:
  void add(std::string_view name, uint64_t device, uint64_t host) {
    if (device == 0 && host == 0) return;
    const auto found = std::ranges::find(rows_, name, &ByteRow::name);
    ByteRow& row = found != rows_.end() ? *found : rows_.emplace_back(ByteRow{std::string(name), 0, 0});
    row.device += device;
    row.host += host;
  }
  std::vector<ByteRow> take() { return std::move(rows_); }

 private:
  std::vector<ByteRow> rows_;
};

LiveBytes::Peak most_alive(const Storage& storage) {
  return LiveBytes(storage,
                   [&](uint32_t r) { return storage.roots[r].is_transient(false) ? storage.roots[r].bytes : 0; })
      .peak();
}

bool alive_at(const Root& root, const LiveBytes::Peak& peak) {
  return root.is_transient(false) && root.live.range == peak.range && root.live.first <= peak.at &&
         peak.at <= root.live.last;
}

// The node of the instruction at a position of a range, as live ranges count
const Node* node_at(const Graph& graph, const LiveBytes::Peak& peak) {
  uint32_t position = 0;
  for (const Node& node : graph.nodes())
    if (node.range == peak.range && position++ == peak.at) return &node;
  return nullptr;
}

}  // namespace

std::vector<ByteRow> byte_table(const Compiled& compiled, const Target& target, std::span<const std::string> words) {
  Table table;
  const LiveBytes::Peak peak = most_alive(compiled.storage);
  uint64_t device = 0, host = 0, staging = 0;  // what roots account for
  const auto add_kind = [&](Kind kind) {
    for (const Root& root : compiled.storage.roots) {
      const Value& value = compiled.graph.values()[root.value];
      if (value.kind != kind) continue;
      if (root.host) table.add(row_of(value, words), 0, root.bytes), host += root.bytes;
      else if (root.persistent || alive_at(root, peak))
        table.add(row_of(value, words), root.bytes, 0), device += root.bytes;
    }
  };
  for (const RowName& row : kRows) add_kind(row.kind);
  std::vector<bool> holds_staging(compiled.memory.arenas.size());
  for (size_t r = 0; r < compiled.storage.roots.size(); ++r)
    if (compiled.storage.roots[r].is_transient(true)) holds_staging[compiled.memory.buffers[r].arena] = true;
  for (size_t a = 0; a < holds_staging.size(); ++a)
    if (holds_staging[a]) staging += compiled.memory.arenas[a].bytes;
  table.add("staging", staging + target.staging_bytes, 0);
  table.add("alignment and gaps", compiled.memory.arena_bytes() - device - staging, compiled.memory.host_bytes - host);
  table.add("reserve", target.reserve_bytes, 0);
  return table.take();
}

Peak peak_of(const Compiled& compiled) {
  const LiveBytes::Peak at = most_alive(compiled.storage);
  const Node* node = node_at(compiled.graph, at);
  Peak peak{at.range, at.at, node == nullptr ? Label() : node->label, at.bytes, {}};
  for (const Root& root : compiled.storage.roots) {
    if (!alive_at(root, at)) continue;
    const Value& value = compiled.graph.values()[root.value];
    const Label label = value.node == UINT32_MAX ? Label() : compiled.graph.nodes()[value.node].label;
    peak.alive.push_back(
        {value.name.empty() ? label.text() : value.name, value.desc, value.kind, value.layer, root.bytes});
  }
  std::ranges::stable_sort(peak.alive, std::greater<>(), &LiveValue::bytes);
  return peak;
}

}  // namespace tandem
