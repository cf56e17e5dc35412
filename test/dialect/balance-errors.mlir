// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint, named after it.

func.func @expert_load_c1_type(%i: tensor<?x1x2xf32>) {
  // expected-error @+1 {{'peer.expert_load' op C1: expected idx to be T x H x K i32, got tensor<?x1x2xf32>}}
  %f = peer.expert_load %i keys 8 : tensor<?x1x2xf32>
  return
}

// -----

func.func @expert_load_c2_halves(%i: tensor<?x1x2xi32>) {
  // expected-error @+1 {{'peer.expert_load' op C2: expected 1 or 2 halves of at least 1 key, whose experts fit in i32, got 3 of 8}}
  %f = peer.expert_load %i keys 8 halves 3 : tensor<?x1x2xi32>
  return
}

// -----

func.func @expert_load_c2_many(%i: tensor<?x1x2xi32>) {
  // expected-error @+1 {{'peer.expert_load' op C2: expected 1 or 2 halves of at least 1 key, whose experts fit in i32, got 2 of 50000}}
  %f = peer.expert_load %i keys 50000 halves 2 : tensor<?x1x2xi32>
  return
}

// -----

func.func @balance_loss_c1_load(%s: tensor<?x1x1x8xf32>, %f: tensor<1x7xf32>) {
  // expected-error @+1 {{'peer.balance_loss' op C1: expected load to be P x n f32 with n = 8, got tensor<1x7xf32>}}
  %l = peer.balance_loss %s, %f : tensor<?x1x1x8xf32>, tensor<1x7xf32>
  return
}

// -----

func.func @balance_loss_c2_halves(%s: tensor<?x1x3x8xf32>, %f: tensor<3x8xf32>) {
  // expected-error @+1 {{'peer.balance_loss' op C2: expected logits of at least 1 head, of 1 or 2 halves and of at least 1 key, got 1 x 3 x 8}}
  %l = peer.balance_loss %s, %f : tensor<?x1x3x8xf32>, tensor<3x8xf32>
  return
}

// -----

func.func @balance_loss_grad_c1_dloss(%s: tensor<?x1x1x8xf32>, %f: tensor<1x8xf32>) {
  // expected-error @+1 {{'peer.balance_loss_grad' op C1: expected dloss to be T f32, got tensor<1x8xf32>}}
  %l = peer.balance_loss_grad %s, %f, %f : tensor<?x1x1x8xf32>, tensor<1x8xf32>, tensor<1x8xf32>
  return
}

// -----

func.func @balance_loss_grad_c2_heads(%s: tensor<?x0x1x8xf32>, %f: tensor<1x8xf32>, %d: tensor<?xf32>) {
  // expected-error @+1 {{'peer.balance_loss_grad' op C2: expected logits of at least 1 head, of 1 or 2 halves and of at least 1 key, got 0 x 1 x 8}}
  %l = peer.balance_loss_grad %s, %f, %d : tensor<?x0x1x8xf32>, tensor<1x8xf32>, tensor<?xf32>
  return
}

// -----

func.func @z_loss_c1_rank(%s: tensor<?x8xf32>) {
  // expected-error @+1 {{'peer.z_loss' op C1: expected logits to be T x H x P x n f32, got tensor<?x8xf32>}}
  %l = peer.z_loss %s : tensor<?x8xf32>
  return
}

// -----

func.func @z_loss_c2_keys(%s: tensor<?x1x1x0xf32>) {
  // expected-error @+1 {{'peer.z_loss' op C2: expected logits of at least 1 head, of 1 or 2 halves and of at least 1 key, got 1 x 1 x 0}}
  %l = peer.z_loss %s : tensor<?x1x1x0xf32>
  return
}

// -----

func.func @z_loss_grad_c1_dloss(%s: tensor<4x1x1x8xf32>, %d: tensor<5xf32>) {
  // expected-error @+1 {{'peer.z_loss_grad' op C1: expected dloss to be T f32 with T = 4, got tensor<5xf32>}}
  %l = peer.z_loss_grad %s, %d : tensor<4x1x1x8xf32>, tensor<5xf32>
  return
}

// -----

func.func @z_loss_grad_c2_keys(%s: tensor<?x1x1x0xf32>, %d: tensor<?xf32>) {
  // expected-error @+1 {{'peer.z_loss_grad' op C2: expected logits of at least 1 head, of 1 or 2 halves and of at least 1 key, got 1 x 1 x 0}}
  %l = peer.z_loss_grad %s, %d : tensor<?x1x1x0xf32>, tensor<?xf32>
  return
}

// -----

func.func @balance_bias_c1_bias(%s: tensor<?x1x1x8xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{'peer.balance_bias' op C1: expected bias to be P x n f32, got tensor<8xf32>}}
  %l = peer.balance_bias %s, %b : tensor<?x1x1x8xf32>, tensor<8xf32>
  return
}

// -----

func.func @balance_bias_c2_halves(%s: tensor<?x1x3x8xf32>, %b: tensor<3x8xf32>) {
  // expected-error @+1 {{'peer.balance_bias' op C2: expected logits of at least 1 head, of 1 or 2 halves and of at least 1 key, got 1 x 3 x 8}}
  %l = peer.balance_bias %s, %b : tensor<?x1x3x8xf32>, tensor<3x8xf32>
  return
}

// -----

func.func @balance_bias_c3_rate(%s: tensor<?x1x1x8xf32>, %b: tensor<1x8xf32>) {
  // expected-error @+1 {{'peer.balance_bias' op C3: expected a rate that is finite and at least 0, got -1}}
  %l = peer.balance_bias %s, %b {rate = -1.0 : f32} : tensor<?x1x1x8xf32>, tensor<1x8xf32>
  return
}

// -----

func.func @gather_c1_idx(%s: tensor<?x1x1x8xf32>, %i: tensor<?x2x3xi32>) {
  // expected-error @+1 {{'peer.gather' op C1: expected idx to be T x H x K i32 with H = 1, got tensor<?x2x3xi32>}}
  %v = peer.gather %s, %i : tensor<?x1x1x8xf32>, tensor<?x2x3xi32>
  return
}

// -----

func.func @gather_c2_experts(%s: tensor<?x1x2x50000xf32>, %i: tensor<?x1x3xi32>) {
  // expected-error @+1 {{'peer.gather' op C2: expected 1 or 2 halves of at least 1 key, whose experts fit in i32, got 2 of 50000}}
  %v = peer.gather %s, %i : tensor<?x1x2x50000xf32>, tensor<?x1x3xi32>
  return
}

// -----

func.func @capacity_c1_weights(%i: tensor<?x1x3xi32>, %w: tensor<?x1x2xf32>) {
  // expected-error @+1 {{'peer.capacity' op C1: expected weights to be T x H x K f32 with K = 3, got tensor<?x1x2xf32>}}
  %j, %u = peer.capacity %i, %w experts 8 factor 1.0 by token : tensor<?x1x3xi32>, tensor<?x1x2xf32>
  return
}

// -----

func.func @capacity_c2_experts(%i: tensor<?x1x3xi32>, %w: tensor<?x1x3xf32>) {
  // expected-error @+1 {{'peer.capacity' op C2: expected at least 1 expert, and so many that fit in i32, got 0}}
  %j, %u = peer.capacity %i, %w experts 0 factor 1.0 by token : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  return
}

// -----

func.func @capacity_c3_factor(%i: tensor<?x1x3xi32>, %w: tensor<?x1x3xf32>) {
  // expected-error @+1 {{'peer.capacity' op C3: expected a factor that is finite and at least 0, got -1}}
  %j, %u = peer.capacity %i, %w experts 8 factor -1.0 by token : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  return
}

// -----

func.func @capacity_c3_least(%i: tensor<?x1x3xi32>, %w: tensor<?x1x3xf32>) {
  // expected-error @+1 {{'peer.capacity' op C3: expected a least capacity that is at least 0 and fits in i32, got -4}}
  %j, %u = peer.capacity %i, %w experts 8 factor 1.0 least -4 by token : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  return
}

// -----

func.func @capacity_priority(%i: tensor<?x1x3xi32>, %w: tensor<?x1x3xf32>) {
  // expected-error @+1 {{unknown keyword 'tokens'; known are token, rank and probability; did you mean 'token'?}}
  %j, %u = peer.capacity %i, %w experts 8 factor 1.0 by tokens : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  return
}
