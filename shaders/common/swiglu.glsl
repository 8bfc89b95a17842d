// The products of SwiGLU and their derivatives, of 4 columns at a time and of packs. Needs pack.glsl.

vec4 swiglu(vec4 gate, vec4 up) {
  precise vec4 product = vec4(silu(gate.x), silu(gate.y), silu(gate.z), silu(gate.w)) * up;
  return product;
}
Pack swiglu(Pack gate, Pack up) { return Pack(swiglu(gate.low, up.low), swiglu(gate.high, up.high)); }

// with s the sigmoid, silu = x s and its derivative is s (1 + x (1 - s)); s and 1 - s as in silu_derivative
void differentiate(vec4 dy, vec4 gate, vec4 up, out vec4 dgate, out vec4 dup) {
  const vec4 x = -abs(gate);
  precise vec4 e = vec4(exp_f32(x.x), exp_f32(x.y), exp_f32(x.z), exp_f32(x.w)), larger = 1.0 / (1.0 + e), smaller = e * larger;
  const bvec4 negative = lessThan(gate, vec4(0.0));
  const vec4 s = mix(larger, smaller, negative), rest = mix(smaller, larger, negative);
  precise vec4 through_gate = dy * up * (s * (1.0 + gate * rest));
  precise vec4 through_up = dy * (gate * s);
  dgate = through_gate;
  dup = through_up;
}
void differentiate(Pack dy, Pack gate, Pack up, out Pack dgate, out Pack dup) {
  differentiate(dy.low, gate.low, up.low, dgate.low, dup.low);
  differentiate(dy.high, gate.high, up.high, dgate.high, dup.high);
}
