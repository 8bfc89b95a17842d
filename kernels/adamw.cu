// adamw: see core/abi/adamw.h. A thread takes 4 packs of 8 elements, 6 Philox blocks each for three bf16 stores.
// Reads gradient, m, v (count) and p or, with a master, that; writes p, m, v and the master: all in bf16 14 bytes an
// element, at 90% of 4.3 TB/s 3.6 ns a 1000 elements. No sums.
// Divides once an element: by what all elements share it multiplies with the reciprocal.
#include "core/abi/adamw.h"

#include "core/abi/adamw_corrections.h"
#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256, kPacksPerThread = 4;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
constexpr uint32_t kBlocks = 2;  // a multiprocessor's: with 3 some instances would spill here
#else
constexpr uint32_t kBlocks = 3;
#endif

// an element's parameter (or master) and moments
struct Element {
  float w, m, v;
};

// what every element takes part in
struct Rule {
  float coefficient, beta1, beta2, one_minus_beta1, one_minus_beta2;
  float decay;         // learning_rate * decay
  float rate;          // learning_rate / correction1
  float inverse_root;  // 1 / correction2_root
  float epsilon;
};

__device__ __forceinline__ Rule rule_of(const abi::AdamW& p, const abi::UpdateScalars& u) {
  return {u.coefficient,
          p.beta1,
          p.beta2,
          p.one_minus_beta1,
          p.one_minus_beta2,
          u.learning_rate * p.decay,
          u.learning_rate / u.correction1,
          1.0f / u.correction2_root,
          p.epsilon};
}

__device__ __forceinline__ Element updated(const Rule& r, float gradient, Element x) {
  const float g = gradient * r.coefficient;
  x.w = fmaf(-r.decay, x.w, x.w);
  x.m = fmaf(r.beta1, x.m, r.one_minus_beta1 * g);
  x.v = fmaf(r.beta2, x.v, r.one_minus_beta2 * g * g);
  x.w -= r.rate * x.m / fmaf(sqrtf(x.v), r.inverse_root, r.epsilon);
  return x;
}

// a stored tensor within the operand
struct Segment {
  uint32_t begin, tensor;
};

__device__ __forceinline__ Segment segment_of(const abi::AdamW& p, uint32_t e) {
  Segment segment{p.segment_begin[0], p.segment_tensor[0]};
  for (uint32_t s = 1; s < 4; ++s)
    if (s < p.segments && e >= p.segment_begin[s]) segment = {p.segment_begin[s], p.segment_tensor[s]};
  return segment;
}

// random words for p, m and v of elements 4 block ... of the segment: what the streams share of the rounds is computed
// once
struct Random {
  abi::PhiloxWords stream[3];
};

__device__ __forceinline__ Random random_of(const abi::UpdateScalars& u, const Segment& segment, uint32_t block) {
  Random r;
  for (uint32_t stream = 0; stream < 3; ++stream)
    r.stream[stream] = abi::philox(u.seed_low, u.seed_high, block, segment.tensor, u.step, stream);
  return r;
}

// What a store to bf16 keeps of stochastic(x) by cutting off its lower half: bf16_from_f32_stochastic of a result of
// arithmetic, whose NaNs are quiet. To float: x.
__device__ __forceinline__ float stochastic(const float*, float x, uint32_t) {
  return x;
}
__device__ __forceinline__ float stochastic(const bf16*, float x, uint32_t random) {
  const bool finite = fabsf(x) < abi::bits_float(0x7f800000u);
  return abi::bits_float(abi::float_bits(x) + (finite ? random & 0xffffu : 0u));
}
// four of eight elements, and back with the lower halves cut off: fewer registers than a Pack at a time
struct Four {
  float v[4];
};
__device__ __forceinline__ Four four_of(const Raw<float>& x, uint32_t half) {
  const float4 u = half == 0 ? x.low : x.high;
  return {{u.x, u.y, u.z, u.w}};
}
__device__ __forceinline__ Four four_of(const Raw<bf16>& x, uint32_t half) {
  Four r;
  unpack_bf16(half == 0 ? x.words.x : x.words.z, r.v[0], r.v[1]);
  unpack_bf16(half == 0 ? x.words.y : x.words.w, r.v[2], r.v[3]);
  return r;
}
__device__ __forceinline__ void put_four(Raw<float>& x, uint32_t half, const Four& y) {
  (half == 0 ? x.low : x.high) = make_float4(y.v[0], y.v[1], y.v[2], y.v[3]);
}
__device__ __forceinline__ uint32_t upper_halves(float low, float high) {
  return __byte_perm(abi::float_bits(low), abi::float_bits(high), 0x7632);
}
__device__ __forceinline__ void put_four(Raw<bf16>& x, uint32_t half, const Four& y) {
  (half == 0 ? x.words.x : x.words.z) = upper_halves(y.v[0], y.v[1]);
  (half == 0 ? x.words.y : x.words.w) = upper_halves(y.v[2], y.v[3]);
}

template <typename T>
__device__ __forceinline__ void store_cut(T* p, float x) {
  if constexpr (sizeof(T) == sizeof(float)) *p = x;
  else *p = {uint16_t(abi::float_bits(x) >> 16)};
}

__device__ __forceinline__ uint32_t word_of(const abi::PhiloxWords& w, uint32_t i) {
  return i < 2 ? (i == 0 ? w.word[0] : w.word[1]) : (i == 2 ? w.word[2] : w.word[3]);
}

template <typename G, typename P, typename M, typename V>
struct State {
  const G* gradient;
  P* parameter;
  M* m;
  V* v;
  float* master;  // null without
};

// what the update is made on
template <bool has_master, typename S>
__device__ __forceinline__ auto* updated_of(const S& s) {
  if constexpr (has_master) return s.master;
  else return s.parameter;
}

// element e, whatever lies beside it
template <bool has_master, typename G, typename P, typename M, typename V>
__device__ void update_one(const abi::AdamW& p, const abi::UpdateScalars& u, const State<G, P, M, V>& s, uint32_t e) {
  auto* const w = updated_of<has_master>(s) + e;
  const Element x = updated(rule_of(p, u), to_float(s.gradient[e]), {to_float(*w), to_float(s.m[e]), to_float(s.v[e])});
  const Segment segment = segment_of(p, e);
  const uint32_t local = e - segment.begin;
  const Random random = random_of(u, segment, local / 4);
  store_cut(s.m + e, stochastic(s.m, x.m, word_of(random.stream[1], local % 4)));
  store_cut(s.v + e, stochastic(s.v, x.v, word_of(random.stream[2], local % 4)));
  store_cut(w, stochastic(w, x.w, word_of(random.stream[0], local % 4)));
  if (has_master) s.parameter[e] = from_float<P>(x.w);
}

// elements e to e + 7 of one segment, the first a multiple of 4 in it; e a multiple of 8
template <bool has_master, typename G, typename P, typename M, typename V>
__device__ __forceinline__ void update_pack(const Rule& rule, const abi::UpdateScalars& u, const Segment& segment,
                                            const State<G, P, M, V>& s, uint32_t e) {
  const Raw<G> g = load_raw(s.gradient + e);
  auto w = load_raw(updated_of<has_master>(s) + e);
  Raw<M> m = load_raw(s.m + e);
  Raw<V> v = load_raw(s.v + e);
  for (uint32_t half = 0; half < 2; ++half) {
    const Random random = random_of(u, segment, (e - segment.begin) / 4 + half);
    const Four g4 = four_of(g, half);
    Four w4 = four_of(w, half), m4 = four_of(m, half), v4 = four_of(v, half);
    for (uint32_t k = 0; k < 4; ++k) {
      const Element x = updated(rule, g4.v[k], {w4.v[k], m4.v[k], v4.v[k]});
      m4.v[k] = stochastic(s.m, x.m, random.stream[1].word[k]);
      v4.v[k] = stochastic(s.v, x.v, random.stream[2].word[k]);
      w4.v[k] = stochastic(updated_of<has_master>(s), x.w, random.stream[0].word[k]);
    }
    put_four(w, half, w4);
    put_four(m, half, m4);
    put_four(v, half, v4);
  }
  store_raw(s.m + e, m);
  store_raw(s.v + e, v);
  store_raw(updated_of<has_master>(s) + e, w);
  if (has_master) store8(s.parameter + e, unpack(w));
}

template <bool has_master, typename G, typename P, typename M, typename V>
__global__ void __launch_bounds__(kThreads, kBlocks)
    adamw_kernel(abi::AdamW p, const abi::UpdateScalars* __restrict__ update, State<G, P, M, V> s) {
  const abi::UpdateScalars u = *update;
  if (u.skipped) return;
  const Rule rule = rule_of(p, u);
  for (uint32_t k = 0; k < kPacksPerThread; ++k) {
    const uint32_t i = (blockIdx.x * kPacksPerThread + k) * kThreads + threadIdx.x, e = i * 8;
    if (i >= (p.count + 7) / 8) return;
    const Segment segment = segment_of(p, e);
    const bool whole = p.count - e >= 8 && segment_of(p, e + 7).begin == segment.begin;
    if (whole && (e - segment.begin) % 4 == 0) {
      update_pack<has_master>(rule, u, segment, s, e);
    } else {
      for (uint32_t one = e; one < p.count && one - e < 8; ++one) update_one<has_master>(p, u, s, one);
    }
  }
}

template <bool has_master, typename G, typename P, typename M, typename V>
void update(const Call& call, Stream stream) {
  const auto& p = call.as<abi::AdamW>();
  const State<G, P, M, V> state{call.data<G>(0), call.data<P>(2), call.data<M>(3), call.data<V>(4),
                                call.data<float>(5)};
  launch(adamw_kernel<has_master, G, P, M, V>, dim3(ceil_div(ceil_div(p.count, 8), kThreads * kPacksPerThread)),
         dim3(kThreads), 0, stream, p, call.data<abi::UpdateScalars>(1), state);
}

}  // namespace

// p f32: all are, without a master; p bf16: each of the others f32 or bf16
bool adamw(const Call& call, Stream stream) {
  const bool has_master = call.as<abi::AdamW>().has_master;
  if (call.dtype(2) == DType::f32) {
    const bool all = call.dtype(0) == DType::f32 && call.dtype(3) == DType::f32 && call.dtype(4) == DType::f32;
    if (all && !has_master) update<false, float, float, float, float>(call, stream);
    return all && !has_master;
  }
  bool known = call.dtype(2) == DType::bf16;
  known = known && with_float(call.dtype(0), [&](auto g) {
            known = with_float(call.dtype(3), [&](auto m) {
              known = with_float(call.dtype(4), [&](auto v) {
                using G = decltype(g);
                using M = decltype(m);
                using V = decltype(v);
                has_master ? update<true, G, bf16, M, V>(call, stream) : update<false, G, bf16, M, V>(call, stream);
              });
            });
          });
  return known;
}

}  // namespace tandem::kernels
