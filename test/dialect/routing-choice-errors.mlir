// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// Experts that choose tokens, thresholds as operands, steps and hashes: one case per constraint, named after it.

func.func @select_c2_expert_choice(%s: tensor<?x8x2x64xf32>) {
  // expected-error @+1 {{'peer.select' op C2: policy expert_choice wants 1 half, got 2}}
  %r:2 = peer.select %s expert_choice<2.0> : tensor<?x8x2x64xf32>
  return
}

// -----

func.func @select_c3_expert_choice(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C3: expected at most the n = 64 experts there are, got 65}}
  %r:2 = peer.select %s expert_choice<65> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c4_expert_choice(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C4: expected more than 0 experts of a token on average, got 0}}
  %r:2 = peer.select %s expert_choice<0> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_expert_choice_without_factor(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{expected how many experts a token has on average, as in 'expert_choice<2.0>'}}
  %r:2 = peer.select %s expert_choice : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c6_no_threshold(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C6: policy top_p without a number wants it as an operand, as in 'peer.select %scores, %number top_p<max = 8>'}}
  %r:2 = peer.select %s top_p<max = 4> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c6_two_thresholds(%s: tensor<?x8x1x64xf32>, %t: tensor<f32>) {
  // expected-error @+1 {{'peer.select' op C6: policy threshold takes no threshold beside what it says itself}}
  %r:2 = peer.select %s, %t threshold<0.5, max = 4> : tensor<?x8x1x64xf32>, tensor<f32>
  return
}

// -----

func.func @select_c6_no_policy_for_it(%s: tensor<?x8x1x64xf32>, %t: tensor<f32>) {
  // expected-error @+1 {{'peer.select' op C6: policy topk takes no threshold beside what it says itself}}
  %r:2 = peer.select %s, %t topk<4> : tensor<?x8x1x64xf32>, tensor<f32>
  return
}

// -----

func.func @select_c6_type(%s: tensor<?x8x1x64xf32>, %t: tensor<1xf32>) {
  // expected-error @+1 {{'peer.select' op C6: expected threshold to be of rank 0 f32, got tensor<1xf32>}}
  %r:2 = peer.select %s, %t threshold<of = sigmoid, max = 4> : tensor<?x8x1x64xf32>, tensor<1xf32>
  return
}

// -----

func.func @select_of_without_number(%s: tensor<?x8x1x64xf32>, %t: tensor<f32>) {
  // expected-error @+1 {{expected a threshold and the most experts of a head, as in 'threshold<0.5, max = 8>' or 'threshold<0.5, of = sigmoid, max = 8>'}}
  %r:2 = peer.select %s, %t threshold<of = tanh, max = 4> : tensor<?x8x1x64xf32>, tensor<f32>
  return
}

// -----

func.func @route_c12_experts(%q: tensor<?x8x1x16xf32>, %k: tensor<8x1x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C12: expected a policy that selects for each token alone by numbers of its own, got expert_choice}}
  %r:2 = peer.route %q, %k expert_choice<2.0> gate softmax : tensor<?x8x1x16xf32>, tensor<8x1x64x16xf32>
  return
}

// -----

func.func @route_c12_operand(%q: tensor<?x8x1x16xf32>, %k: tensor<8x1x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C12: expected a policy that selects for each token alone by numbers of its own, got top_p}}
  %r:2 = peer.route %q, %k top_p<max = 4> gate softmax : tensor<?x8x1x16xf32>, tensor<8x1x64x16xf32>
  return
}

// -----

func.func @straight_through_c1_rank(%v: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.straight_through' op C1: expected val to be T x H x K f32, got tensor<?x4xf32>}}
  %r = peer.straight_through %v : tensor<?x4xf32>
  return
}

// -----

func.func @straight_through_c2_threshold(%v: tensor<?x1x4xf32>) {
  // expected-error @+1 {{'peer.straight_through' op C2: expected a threshold of sigmoids above 0 and below 1, got 1}}
  %r = peer.straight_through %v {threshold = 1.0 : f32} : tensor<?x1x4xf32>
  return
}

// -----

func.func @hash_c1_type(%t: tensor<?xf32>) {
  // expected-error @+1 {{'peer.hash' op C1: expected tokens to be T i32, got tensor<?xf32>}}
  %r:2 = peer.hash %t experts 8 : tensor<?xf32>
  return
}

// -----

func.func @hash_c2_experts(%t: tensor<?xi32>) {
  // expected-error @+1 {{'peer.hash' op C2: expected at least 1 expert, and so many that fit in i32, got 0}}
  %r:2 = peer.hash %t experts 0 : tensor<?xi32>
  return
}

// -----

func.func @hash_c3_seed(%t: tensor<?xi32>) {
  // expected-error @+1 {{'peer.hash' op C3: expected a seed of at least 0 and below 2^32, got 4294967296}}
  %r:2 = peer.hash %t experts 8 seed 4294967296 : tensor<?xi32>
  return
}

// -----

func.func @capacity_factor(%i: tensor<?x1x3xi32>, %w: tensor<?x1x3xf32>) {
  // expected-error @+1 {{expected a number, got "much"}}
  %j, %u = peer.capacity %i, %w experts 8 factor "much" by token : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  return
}
