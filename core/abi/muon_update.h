// muon_update: p -= learning_rate * decay * p; p -= learning_rate * scale * x, for one stored tensor of a parameter.
// Nothing changes when update.skipped. f32 p stores as is; bf16 p by stochastic rounding, element e of the stored
// tensor with word e mod 4 of philox(seed; e div 4, tensor, step, 0). With a master (f32) the update is made on it, and
// p = rne(master). The tensor begins at block `first` of p and master. operands: x (count), update (16) u32, abi
// UpdateScalars, p (any), in place, master (as p) f32|-, in place.
#ifndef TANDEM_ABI_MUON_UPDATE_H
#define TANDEM_ABI_MUON_UPDATE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct MuonUpdate {
  uint32_t first;  // block of 4 elements; the tensor has whole ones
  uint32_t tensor;
  uint32_t count;
  float decay;
  float scale;  // by which AdamW's learning rate carries over, or of the matrix's shape
  uint32_t has_master;
};

TANDEM_ABI_END(MuonUpdate)
#endif
