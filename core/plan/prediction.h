// What a planned step should take on a device, in seconds.
#pragma once

#include "core/plan/planner.h"

namespace tandem {

struct Prediction {
  double step = 0;
  double exposed_copy = 0, exposed_exchange = 0;  // seconds of the step that wait for copies, and for other ranks
  double floor = 0;     // with every byte moved and every product made once, at the device's rates
  double products = 0;  // matrix products and attention alone; over the measured step it is the MFU
};

// rates: the device's, by which the plan was made
Prediction predict_step(const StepPlan& plan, const Rates& rates);

}  // namespace tandem
