// The Program: a training step compiled to a linear list of instructions on planned memory. Nothing in it changes
// between steps.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/label.h"
#include "core/graph/initial.h"
#include "core/graph/range.h"
#include "core/graph/rows.h"
#include "core/ops/op.h"
#include "core/program/collective.h"
#include "core/program/queue.h"

namespace tandem {

enum class Access : uint8_t { read, write, read_write };

// host: visible to both, for what a step takes in and reports, and for what is offloaded
enum class ArenaKind : uint8_t { device, host };
struct Arena {
  std::string name;
  ArenaKind kind = ArenaKind::device;
  uint64_t bytes = 0;
};

struct BufferRef {
  uint32_t arena = 0;
  uint64_t offset = 0, bytes = 0;
  uint64_t rank_stride = 0;  // on rank r it begins at offset + r * rank_stride
};

struct Operand {
  TensorDesc desc;  // dtype none: an absent optional operand, no buffer
  BufferRef buffer;
  Access access = Access::read;
};

// Operands in the order of core/abi/<op>.h: inputs that are not overwritten, then outputs (read_write when in place).
struct Dispatch {
  OpId op;
  Parameters parameters;
  std::vector<Operand> operands;
  BufferRef workspace = {};  // scratch, its contents undefined before and after; 0 bytes: none
};
struct Fill {  // with zero bytes
  BufferRef buffer;
};
struct Copy {
  BufferRef from, to;
};
// What a rank gives: a part for each rank, stride bytes from one to the next; stride 0: the same part for each.
struct Part {
  BufferRef buffer;
  uint64_t stride = 0;
};
// All ranks run it together. Item i goes from from[i] to to[i]; from may be the rank's own part of to.
struct Collective {
  CollectiveKind kind = CollectiveKind::all_gather;
  std::vector<Part> from;
  std::vector<BufferRef> to;
};
struct Barrier {};  // all before it on this queue happens before all after it
struct Signal {
  uint32_t id;
};  // orders queues: all before the signal on its queue happens before all after the wait on its own
struct Wait {
  uint32_t id;
};

using Command = std::variant<Dispatch, Fill, Copy, Collective, Barrier, Signal, Wait>;

struct Instruction {
  Queue queue = Queue::compute;
  Command command;
  Label label;             // for people: "layer 3 attention"
  When when = When::each;  // not each: a dispatch, fill, copy or exchange of micro_step or evaluate
  bool backward = false;   // the range's first instruction of a backward pass, or one behind it
};

// What a host may write before a run or read after it, by name: parameters, states, step inputs, report.
struct Binding {
  std::string name;
  TensorDesc desc;
  BufferRef buffer;
  Initial initial = Initial::undefined;
  Rows rows;  // how ranks share it
};

// So many submissions of a range behind each other.
struct Turns {
  Turn turn;
  uint32_t times = 1;
};

// The same for each rank, until for_rank.
struct Program {
  uint32_t ranks = 1, rank = 0;
  std::vector<Arena> arenas;
  std::vector<Binding> bindings;
  std::array<std::vector<Instruction>, kRangeCount> ranges;
  std::vector<Turns> schedule;  // a step's submissions, in order; evaluate is submitted on request

  const std::vector<Instruction>& range(Range r) const { return ranges[size_t(r)]; }
  const Binding& binding(std::string_view name) const;  // Exit::internal when there is none
  const Binding* find(std::string_view name) const;
};

// "gemm of layers.3.qkv", "copy": for messages
std::string name_of(const Instruction& instruction);

// The program of one rank: its buffers have their places there, and no rank_stride.
Program for_rank(Program program, uint32_t rank);
// True if some instruction needs the other ranks.
bool has_exchange(const Program& program);
// True if some of the range's instructions do not run in each submission.
bool has_turns(const Program& program, Range range);
// By id, the queue that gives a range's signal.
std::map<uint32_t, Queue> signal_queues(const std::vector<Instruction>& code);
// A step's submissions of the ranges that have instructions; micro_step's are told apart where instructions do.
std::vector<Turns> schedule_of(const Program& program, uint32_t accumulation);

Descs descs_of(const Dispatch& dispatch);  // its operands', in their order

}  // namespace tandem
