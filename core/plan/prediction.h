// What a compiled step should take on a device, in seconds.
#pragma once

#include "core/plan/planner.h"

namespace tandem {

struct Prediction {
  double step = 0, exposed_copy = 0;  // exposed: of the step, what copies hold up
  double floor = 0;                   // with every byte moved and every product made once, at the device's rates
  double products = 0;                // matrix products and attention alone; over the measured step it is the MFU
};

// program: the request's step, under any policy. The request's rates are those of the device.
Prediction predict_step(const PlanRequest& request, const Program& program);

}  // namespace tandem
