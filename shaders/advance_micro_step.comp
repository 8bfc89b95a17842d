// advance_micro_step: see core/abi/advance_micro_step.h. updates counter (16).
//! variant i32 :
//! grid 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/advance_micro_step.h"

layout(local_size_x = 1) in;
layout(binding = 0) buffer Counter { int counter[]; };

void main() { counter[1] += 1; }
