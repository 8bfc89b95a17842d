// A head over 8 lanes, of up to 256 elements: lane l has elements l, l + 8, .... EACH_ELEMENT(M): M(j, from) for each of them, number from + j.
// By the preprocessor and with the count a constant: loops would use up what software Vulkan lets an invocation do (tools/shaders.py, iterations).
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/lanes.glsl"
#include "shaders/common/unroll.glsl"

layout(constant_id = 0) const uint kElements = 32u;  // a lane has so many: p.head_dim / 8

#define EACH_ELEMENT(M) EACH8_1(M, 0u) EACH8_1(M, 8u) EACH8_1(M, 16u) EACH8_1(M, 24u)
bool present(uint i) { return i < kElements; }
uint element(uint i) { return 8u * i + lane(); }
