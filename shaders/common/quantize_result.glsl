// What the shaders share that quantize what they make (core/abi/quantize.h, kScale...): with -DGUESS the words to raise are operand
// FIRST + 4, else those to read are operand FIRST. Needs code_tile.glsl.
#ifdef GUESS
layout(binding = FIRST + 4) buffer AmaxWords { uint amax[]; };
#else
layout(binding = FIRST) readonly buffer AmaxWords { uint amax[]; };
layout(binding = FIRST + 3) writeonly buffer Scale { float scale_of_result; };
#endif
#ifdef Q
layout(binding = FIRST + 1) writeonly buffer Codes { uvec4 q[]; };
#endif
#ifdef QT
layout(binding = FIRST + 2) writeonly buffer Transposed { uvec4 qt[]; };
#endif

// the amax whose scale the codes have
uint basis() {
#ifdef GUESS
  return amax[kAmaxGuess];
#else
  return amax[0];
#endif
}

// An invocation's first step: true where nothing is left to do but the scale, which one of them writes.
bool settle(uint mode) {
#ifdef GUESS
  return false;
#else
  if (first_invocation()) scale_of_result = scale_of_codes(amax[0]);
  return mode == kScaleChecked && same_scale(amax[0], amax[kAmaxGuess]);
#endif
}

// raises the words to x of all lanes, where the scale is a guess
void raise(uint x) {
#ifdef GUESS
  const uint largest = max_lanes(x);
  if (lane() == 0u && largest > amax[0]) atomicMax(amax[0], largest);
#endif
}

// A pack rounded to bf16: its codes; largest is raised to its magnitude.
uvec2 codes_raising(Pack v, inout uint largest) {
  const uvec4 rounded = bf16_from_pack(v);
  largest = max(largest, amax_of_bf16(rounded));
  return codes_of(pack_from_bf16(rounded), basis());
}
