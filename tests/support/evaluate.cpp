#include "tests/support/evaluate.h"

namespace tandem::test {

Buffer make_buffer(const TensorDesc& desc, bool wide) {
  Buffer b{desc, {}, {}};
  if (wide && desc.dtype == DType::f32) b.wide.assign(desc.shape.count(), NAN);
  else b.bytes.assign(desc.bytes(), std::byte{0xff});
  return b;
}

Buffer copy_of(const Tensor& x) {
  Buffer b = make_buffer(x.desc(), x.wide());
  Tensor to = b.view();
  for (uint64_t i = 0; i < x.size(); ++i) {
    if (x.wide()) to.set(i, x.get(i));
    else to.set_bits(i, x.bits(i));
  }
  return b;
}

Buffer buffer_of(DType dtype, Shape shape, const std::vector<double>& values) {
  Buffer b = make_buffer({dtype, std::move(shape)});
  Tensor to = b.view();
  TANDEM_CHECK(values.size() == to.size(), "{} values for {}", values.size(), b.desc);
  for (uint64_t i = 0; i < to.size(); ++i) to.set(i, values[i]);
  return b;
}

std::vector<Buffer> evaluate(OpId op, Parameters parameters, const std::vector<Tensor>& inputs, bool wide) {
  Descs descs;
  for (const Tensor& t : inputs) descs.push_back(t.desc());
  const Signature signature = op_of(op).infer(descs, parameters);
  const size_t read_only = inputs.size() - signature.in_place;
  std::vector<Buffer> outputs;
  for (size_t i = 0; i < signature.outputs.size(); ++i) {
    const bool in_place = i >= signature.first_output && i < signature.first_output + signature.in_place;
    outputs.push_back(in_place ? copy_of(inputs[read_only + i - signature.first_output])
                               : make_buffer(signature.outputs[i], wide));
  }
  std::vector<Tensor> operands(inputs.begin(), inputs.begin() + ptrdiff_t(read_only));
  for (Buffer& b : outputs) operands.push_back(b.view());
  reference_of(op)(parameters, operands);
  return outputs;
}

}  // namespace tandem::test
