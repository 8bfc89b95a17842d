// add: y = round(a + b). operands: a, b, y, all (count).
#ifndef TANDEM_ABI_ADD_H
#define TANDEM_ABI_ADD_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct Add {
  uint32_t count;  // multiple of 8
};

TANDEM_ABI_END(Add)
#endif
