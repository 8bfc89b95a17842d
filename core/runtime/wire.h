// What goes over the wire between the processes of a run. Rank 0 is the star's middle: every other rank has two
// connections to it, and no two others have any.
//
// Rendezvous, on each connection: the peer sends a Hello. Rank 0 answers on the first connection (`calls`) with an
// Answer and its text, at once where it refuses, else when all ranks are there.
//
// Calls, on the first connection. For each collective call a peer sends a Frame and its label; rank 0 compares those of
// all ranks with its own call and sends each its Frame back. Then the bytes follow, bare, since both sides know their
// number:
//   barrier     nothing
//   agree       each peer its word; then rank 0 the result to each
//   broadcast   the root's bytes to rank 0, from there to each other peer
//   all_gather  each peer its bytes; then rank 0 all of them to each
//   gather      each peer its bytes, in rank order; rank 0 passes them on where it is not the root
//   all_to_all  for each rank d in order: every other rank r in order the part of d, which rank 0 passes on
//
// Pulse, on the second connection, both ways at any time: a Note and its text. A `beat` says that the process lives;
// `failed` that a rank has failed or is gone, and rank 0 passes it on; `left` that a rank has ended well.
//
// Numbers are little-endian, and structs have no padding. Lengths have limits; what is beyond them ends the connection.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/runtime/world.h"

namespace tandem::wire {

static_assert(std::endian::native == std::endian::little);

constexpr char kMagic[8] = {'t', 'a', 'n', 'd', 'e', 'm', '-', '1'};  // the digit is the version of all this
constexpr uint32_t kUnknown = 0xffffffff;
constexpr size_t kLabelLimit = 256, kTextLimit = 4096;

enum class Channel : uint32_t { calls, pulse };

struct Hello {
  char magic[8];
  char nonce[32];    // padded with zeros
  char host_id[40];  // the boot id of the peer's machine, padded with zeros
  uint64_t process;  // random; tells two processes of one rank apart
  uint32_t rank, ranks, local_rank /* or kUnknown */;
  Channel channel;
};
static_assert(sizeof(Hello) == 104);

enum class Status : uint32_t { joined, other_run, refused, given_up };

struct Answer {
  char magic[8];
  Status status;
  Seat seat;  // where joined
  uint32_t text_bytes;
};
static_assert(sizeof(Answer) == 40);

struct Frame {
  uint64_t round;  // calls so far
  uint64_t bytes;
  uint32_t kind, root, label_bytes, zero;
};
static_assert(sizeof(Frame) == 32);

enum class NoteKind : uint32_t { beat, failed, left };

struct Note {
  NoteKind kind;
  uint32_t text_bytes;  // a sentence that names the rank
};
static_assert(sizeof(Note) == 8);

template <typename T>
Bytes bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}
template <typename T>
MutableBytes writable_bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}
inline Bytes bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

template <size_t N>
void put(char (&field)[N], std::string_view text) {
  std::memset(field, 0, N);
  std::memcpy(field, text.data(), std::min(N, text.size()));
}
template <size_t N>
std::string get(const char (&field)[N]) {
  return {field, ::strnlen(field, N)};
}

}  // namespace tandem::wire
