// What the attention shaders share: where a head's elements stand, and which keys a query sees. 8 lanes share a dot product.
// Needs lane_elements.glsl, element.glsl, and the push constants p with batch, length, q_heads, kv_heads, head_dim.
uint heads_of_row() { return p.q_heads + 2u * p.kv_heads; }
uint q_at(uint row, uint head) { return (row * heads_of_row() + head) * p.head_dim; }
uint k_at(uint row, uint kv_head) { return (row * heads_of_row() + p.q_heads + kv_head) * p.head_dim; }
uint v_at(uint row, uint kv_head) { return (row * heads_of_row() + p.q_heads + p.kv_heads + kv_head) * p.head_dim; }
uint out_at(uint row, uint head) { return (row * p.q_heads + head) * p.head_dim; }
uint lse_at(uint sequence, uint head, uint t) { return (sequence * p.q_heads + head) * p.sequence_length + t; }
