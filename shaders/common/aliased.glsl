// ALIASED, before the layout of both views of an operand of which one is written: without it a driver may take them for different memory, and move
// reads past writes. Neither view may be readonly. tools/spirv.py refuses shaders that forget either.
#extension GL_EXT_spirv_intrinsics : require
#define ALIASED spirv_decorate(20)  // SPIR-V's decoration Aliased, which GLSL has no word for
