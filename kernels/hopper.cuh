// What sm_90a has beyond device.cuh, behind names: barriers that count bytes, copies of boxes by tensor map, and
// products by a warpgroup, four warps that each hold 16 of its 64 rows. Tiles in shared memory are columns of boxes, 64
// bf16 (128 bytes) wide, each row after row, its eight packs of 16 bytes swizzled by the row's number modulo 8, as the
// tensor map writes them; a box starts at a multiple of 1024 bytes.
#pragma once

#include <cuda.h>

#include "kernels/attention_tile.cuh"

namespace tandem::kernels {

constexpr int kWarpgroupRows = 64, kBoxColumns = 64, kBoxRows = 64;

// T& name: the block's dynamic shared memory, where boxes begin
#define BOXES_SHARED(T, name)                                           \
  extern __shared__ __align__(1024) unsigned char boxes_of_the_block[]; \
  T& name = *reinterpret_cast<T*>(boxes_of_the_block)

// ---- barriers ----

// opens when an arrival and the bytes that it announced have come; then its next phase begins, of the other parity
__device__ __forceinline__ void barrier_init(uint64_t* barrier) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(barrier)) : "memory");
}
// before other threads and copies may use what barrier_init made; a __syncthreads follows
__device__ __forceinline__ void barrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}
__device__ __forceinline__ void barrier_arrive(uint64_t* barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
// until the phase of this parity is over
__device__ __forceinline__ void barrier_wait(uint64_t* barrier, uint32_t parity) {
  uint32_t open;
  do
    asm volatile("{.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;}"
                 : "=r"(open)
                 : "r"(shared_address(barrier)), "r"(parity)
                 : "memory");
  while (!open);
}
// True for the last of `warps` to call it, and the count begins anew; one lane of each calls it. What warps have read
// by products or used by then is read, so that the others need no fence.
__device__ __forceinline__ bool last_to_leave(uint32_t* count, uint32_t warps) {
  uint32_t before;
  asm volatile("atom.relaxed.cta.shared::cta.inc.u32 %0, [%1], %2;"
               : "=r"(before)
               : "r"(shared_address(count)), "r"(warps - 1)
               : "memory");
  if (before != warps - 1) return false;
  __threadfence_block();
  return true;
}

// ---- copies ----

// one box; elements outside of the tensor become zeros, and count among the barrier's bytes
__device__ __forceinline__ void copy_box(bf16* to, const CUtensorMap& map, int column, int row, int sequence,
                                         uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::
          "r"(shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(column), "r"(row), "r"(sequence)
      : "memory");
}
// the boxes of a tile: rows `row` ... of a sequence, kDim columns from `column` on; one thread calls it
template <int kRows, int kDim>
__device__ __forceinline__ void copy_boxes(bf16* to, const CUtensorMap& map, int column, int row, int sequence,
                                           uint64_t* barrier) {
#pragma unroll
  for (int c = 0; c < kDim; c += kBoxColumns)
#pragma unroll
    for (int r = 0; r < kRows; r += kBoxRows)
      copy_box(to + c * kRows + r * kBoxColumns, map, column + c, row + r, sequence, barrier);
}
// announced: all that the barrier's phase waits for
template <int kRows, int kDim>
__device__ __forceinline__ void copy_tile(bf16* to, const CUtensorMap& map, int column, int row, int sequence,
                                          uint64_t* barrier) {
  barrier_arrive(barrier, kRows * kDim * sizeof(bf16));
  copy_boxes<kRows, kDim>(to, map, column, row, sequence, barrier);
}

// words of a row; those outside of the tensor become zeros, and count too
template <int kCount, typename T>
__device__ __forceinline__ void copy_row(T (&to)[kCount], const CUtensorMap& map, int column, int row,
                                         uint64_t* barrier) {
#pragma unroll
  for (int c = 0; c < kCount; c += kBoxRows)
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
            shared_address(to + c)),
        "l"(&map), "r"(shared_address(barrier)), "r"(column + c), "r"(row)
        : "memory");
}

// Stages of shared memory through which a block's tiles pass in order, the i-th by stage i % kStages. Its barrier opens
// when the tile is there; the last of kWarps warps to leave the stage asks for its next tile, so that none waits to
// ask.
template <int kStages, int kWarps>
struct Ring {
  uint64_t here[kStages];
  uint32_t left[kStages];

  // by one thread
  __device__ __forceinline__ void init() {
    for (int i = 0; i < kStages; ++i) barrier_init(&here[i]), left[i] = 0;
  }
  // ask(i, barrier) asks for the first tiles
  template <typename Ask>
  __device__ __forceinline__ void fill(int tiles, const Ask& ask) {
    for (int i = 0; i < min(kStages, tiles); ++i) ask(i, &here[i]);
  }
  // by all
  __device__ __forceinline__ void wait(int i) { barrier_wait(&here[i % kStages], i / kStages % 2); }
  template <typename Ask>
  __device__ __forceinline__ void leave(int i, int tiles, const Ask& ask) {
    if (threadIdx.x % 32 == 0 && last_to_leave(&left[i % kStages], kWarps) && i + kStages < tiles)
      ask(i + kStages, &here[i % kStages]);
    __syncwarp();
  }
};

// What a ring of tiles of a sequence's rows, from `first` on, asks: tile i, kDim columns from `column` on, in its
// stage.
template <int kStages, int kRows, int kDim>
struct TileRequest {
  bf16 (*stages)[kRows * kDim];
  const CUtensorMap& map;
  int column, first, sequence;

  __device__ __forceinline__ void operator()(int i, uint64_t* barrier) const {
    copy_tile<kRows, kDim>(stages[i % kStages], map, column, first + i * kRows, sequence, barrier);
  }
};

// ---- products ----

// What a warpgroup's product reads in shared memory: 16-byte units of address, the distance of columns of boxes (where
// rows are multiplied by their transposes none is needed), that of eight rows, and the swizzle of 128 bytes.
__device__ __forceinline__ uint64_t tile_descriptor(const bf16* tile, int rows) {
  return uint64_t(shared_address(tile) >> 4 & 0x3fff) | uint64_t(rows * 8) << 16 | uint64_t(64) << 32 |
         uint64_t(1) << 62;
}

// from a descriptor of a tile to that of its next 16 rows
constexpr uint64_t kStepOfRows = 16 * 8;

// registers that products read or wrote may be used by what follows, and those written before by products
__device__ __forceinline__ void product_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void product_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// until at most `pending` of the groups committed are under way
template <int pending>
__device__ __forceinline__ void product_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}
// sums of products under way: the compiler must not move their uses over this
template <int kN>
__device__ __forceinline__ void pin(float (&c)[kN][4]) {
#pragma unroll
  for (int n = 0; n < kN; ++n) asm volatile("" : "+f"(c[n][0]), "+f"(c[n][1]), "+f"(c[n][2]), "+f"(c[n][3])::"memory");
}

#define SUMS_1(c, n) "+f"(c[n][0]), "+f"(c[n][1]), "+f"(c[n][2]), "+f"(c[n][3])
#define SUMS_4(c, n) SUMS_1(c, n), SUMS_1(c, n + 1), SUMS_1(c, n + 2), SUMS_1(c, n + 3)
#define SUMS_8(c, n) SUMS_4(c, n), SUMS_4(c, n + 4)
#define NEW_1(c, n) "=f"(c[n][0]), "=f"(c[n][1]), "=f"(c[n][2]), "=f"(c[n][3])
#define NEW_4(c, n) NEW_1(c, n), NEW_1(c, n + 1), NEW_1(c, n + 2), NEW_1(c, n + 3)
#define NEW_8(c, n) NEW_4(c, n), NEW_4(c, n + 4)
#define NAMES_32                                                                                                   \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29," \
  "%30,%31"
#define NAMES_64                                                                                                  \
  NAMES_32                                                                                                        \
  ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58," \
  "%59,%60,%61,%62,%63"
#define PRODUCT(n, sums) "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" sums "},"

// adds: "eq" to add to what is there, "ne" to write over it
#define TILES_64(adds, c, ELEMENTS)                                                                                \
  asm volatile("{.reg .pred p;\nsetp." adds ".b32 p, 0, 0;\n" PRODUCT(64, NAMES_32) "%32,%33,p,1,1,0,0;}"          \
               : ELEMENTS(c, 0)                                                                                    \
               : "l"(a), "l"(b))
#define TILES_128(adds, c, ELEMENTS)                                                                               \
  asm volatile("{.reg .pred p;\nsetp." adds ".b32 p, 0, 0;\n" PRODUCT(128, NAMES_64) "%64,%65,p,1,1,0,0;}"         \
               : ELEMENTS(c, 0), ELEMENTS(c, 8)                                                                    \
               : "l"(a), "l"(b))

// c (64, 8 kN) += a b^T; 16 columns of both, which are tiles
__device__ __forceinline__ void multiply_tiles(float (&c)[8][4], uint64_t a, uint64_t b) {
  TILES_64("eq", c, SUMS_8);
}
__device__ __forceinline__ void multiply_tiles(float (&c)[16][4], uint64_t a, uint64_t b) {
  TILES_128("eq", c, SUMS_8);
}
// c = a b^T: what c was is no operand, so that the compiler does not keep it
__device__ __forceinline__ void set_tiles(float (&c)[8][4], uint64_t a, uint64_t b) {
  TILES_64("ne", c, NEW_8);
}
__device__ __forceinline__ void set_tiles(float (&c)[16][4], uint64_t a, uint64_t b) {
  TILES_128("ne", c, NEW_8);
}
// c (64, 8 kN) += a b: a (64, 16) in registers as mma_m16n8k16_bf16 has it, a warp's 16 rows each; b 16 rows of a tile
__device__ __forceinline__ void multiply_registers(float (&c)[8][4], const uint32_t (&a)[4], uint64_t b) {
  asm volatile("{.reg .pred p;\nsetp.eq.b32 p, 0, 0;\n" PRODUCT(64, NAMES_32) "{%32,%33,%34,%35},%36,p,1,1,1;}"
               : SUMS_8(c, 0)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
__device__ __forceinline__ void multiply_registers(float (&c)[16][4], const uint32_t (&a)[4], uint64_t b) {
  asm volatile("{.reg .pred p;\nsetp.eq.b32 p, 0, 0;\n" PRODUCT(128, NAMES_64) "{%64,%65,%66,%67},%68,p,1,1,1;}"
               : SUMS_8(c, 0), SUMS_8(c, 8)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
#undef TILES_64
#undef TILES_128
#undef SUMS_1
#undef SUMS_4
#undef SUMS_8
#undef NEW_1
#undef NEW_4
#undef NEW_8
#undef NAMES_32
#undef NAMES_64
#undef PRODUCT

// columns 16 k ... 16 k + 15 of a product, rounded, as multiply_registers takes them
template <int kN>
__device__ __forceinline__ void pack_columns(uint32_t (&to)[4], const float (&c)[kN][4], int k) {
#pragma unroll
  for (int i = 0; i < 4; ++i) to[i] = pack_bf16_numbers(c[2 * k + i / 2][i % 2 * 2], c[2 * k + i / 2][i % 2 * 2 + 1]);
}

// c = a b^T over kDim columns; a: 64 rows of a tile of a_rows, b: a tile of b_rows
template <int kDim, int kN>
__device__ __forceinline__ void multiply_transposed(float (&c)[kN][4], uint64_t a, int a_rows, uint64_t b, int b_rows) {
  set_tiles(c, a, b);
#pragma unroll
  for (int k = 1; k < kDim / 16; ++k)
    multiply_tiles(c, a + k % 4 * 2 + k / 4 * a_rows * 8, b + k % 4 * 2 + k / 4 * b_rows * 8);
}

// What a warpgroup's rows of a tile of queries, tile_first ... tile_last, see.
struct GroupRows {
  int first, last;         // none if last < first
  int first_seen, inside;  // the first key that the first row sees; all rows see from `inside` to `first`

  __device__ __forceinline__ GroupRows(const int32_t* positions, int tile_first, int tile_last, int group)
      : first(tile_first + group * kWarpgroupRows), last(min(tile_last, first + kWarpgroupRows - 1)) {
    first_seen = first <= last ? first_key(positions, first) : 0;
    inside = first <= last ? first_key(positions, last) : 0;
  }
  // whether some row sees one of `count` keys
  __device__ __forceinline__ bool sees(int key, int count) const {
    return first <= last && key <= last && key + count > first_seen;
  }
  // whether some row does not see one of them
  __device__ __forceinline__ bool hides(int key, int count) const { return key + count - 1 > first || key < inside; }
};

// Row t of a product, half h of a lane's, times factor, rounded; rows after last are left out. The four lanes of a row
// exchange pairs of columns, by halves of a transposition, so that each stores eight that are neighbours.
template <int kN>
__device__ __forceinline__ void store_row(const HeadRows<bf16>& x, const float (&c)[kN][4], int h, float factor, int t,
                                          int last) {
  const int quad = int(threadIdx.x % 4);
#pragma unroll
  for (int n = 0; n < kN; n += 4) {
    uint32_t w[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) w[i] = pack_bf16_numbers(c[n + i][2 * h] * factor, c[n + i][2 * h + 1] * factor);
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      const uint32_t other = __shfl_xor_sync(kFullWarp, quad % 2 == 0 ? w[i + 1] : w[i], 1);
      if (quad % 2 == 0) w[i + 1] = other;
      else w[i] = other;
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const uint32_t other = __shfl_xor_sync(kFullWarp, quad < 2 ? w[i + 2] : w[i], 2);
      if (quad < 2) w[i + 2] = other;
      else w[i] = other;
    }
    if (t <= last) store_raw(x.row(t) + (n + quad) * 8, Raw<bf16>{make_uint4(w[0], w[1], w[2], w[3])});
  }
}

}  // namespace tandem::kernels
