// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// expected-error @+1 {{unknown field 'rate'; known are learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm, lazy, schedule, rounding, states}}
module attributes {test.a = #peer.adamw<rate = 1.0>} {}

// -----

// expected-error @+1 {{unknown field 'beta1'; known are learning_rate, momentum, weight_decay, clip_norm, lazy, schedule, rounding, states}}
module attributes {test.a = #peer.sgd<beta1 = 1.0>} {}

// -----

// expected-error @+1 {{'beta1' must lie in [0.000000e+00, 9.999999e-01], got 1.000000e+00}}
module attributes {test.a = #peer.adamw<beta1 = 1.0>} {}

// -----

// expected-error @+1 {{'learning_rate' must lie in [0.000000e+00, 1.000000e+03], got -1.000000e-01}}
module attributes {test.a = #peer.adamw<learning_rate = -0.1>} {}

// -----

// Rows without a gradient would become 0 / 0.
// expected-error @+1 {{'epsilon' must lie in [1.175494e-38, 1.000000e+00], got 0.000000e+00}}
module attributes {test.a = #peer.adamw<epsilon = 0.0>} {}

// -----

// expected-error @+1 {{expected 0 or a number of at least 1.2e-38, which f32 can hold, got 9.9}}
module attributes {test.a = #peer.adamw<epsilon = 1.0e-60>} {}

// -----

// Clipping to what is 0 in f32 would stop training without a word.
// expected-error @+1 {{expected 0 or a number of at least 1.2e-38, which f32 can hold, got 1.000000e-46}}
module attributes {test.a = #peer.sgd<clip_norm = 1.0e-46>} {}

// -----

// expected-error @+1 {{'clip_norm' must lie in [0.000000e+00, 1.000000e+30], got -1.000000e+00}}
module attributes {test.a = #peer.sgd<clip_norm = -1>} {}

// -----

// expected-error @+1 {{expected a finite number of f32, got 0x7FF8000000000000}}
module attributes {test.a = #peer.adamw<weight_decay = 0x7FF8000000000000 : f64>} {}

// -----

// expected-error @+1 {{'momentum' must lie in [0.000000e+00, 9.999999e-01], got 1.000000e+00}}
module attributes {test.a = #peer.sgd<momentum = 1>} {}

// -----

// expected-error @+1 {{'lazy' must be true or false, got 'maybe'}}
module attributes {test.a = #peer.sgd<lazy = maybe>} {}

// -----

// expected-error @+1 {{expected a number, got "fast"}}
module attributes {test.a = #peer.sgd<learning_rate = "fast">} {}

// -----

// expected-error @+1 {{expected a number, got true}}
module attributes {test.a = #peer.sgd<learning_rate = true>} {}

// -----

// expected-error @+1 {{field 'momentum' is given twice}}
module attributes {test.a = #peer.sgd<momentum = 0.5, momentum = 0.5>} {}

// -----

// expected-error @+1 {{expected '='}}
module attributes {test.a = #peer.sgd<momentum>} {}

// -----

// expected-error @+1 {{expected FIELD = VALUE; known fields are learning_rate, momentum, weight_decay, clip_norm, lazy, schedule, rounding, states}}
module attributes {test.a = #peer.sgd<0.1>} {}

// -----

// expected-error @+1 {{'lazy' must be true or false}}
module attributes {test.a = #peer.sgd<lazy = 1>} {}

// -----

// expected-error @+1 {{'schedule' must be one of constant, linear, cosine, got 'cosin'; did you mean 'cosine'?}}
module attributes {test.a = #peer.adamw<schedule = cosin>} {}

// -----

// expected-error @+1 {{'schedule' must be one of constant, linear, cosine}}
module attributes {test.a = #peer.sgd<schedule = 1>} {}

// -----

// expected-error @+1 {{'rounding' must be one of stochastic, nearest, got 'up'}}
module attributes {test.a = #peer.sgd<rounding = up>} {}

// -----

// expected-error @+1 {{'states' must be one of f32, bf16, got 'bf1'; did you mean 'bf16'?}}
module attributes {test.a = #peer.adamw<states = bf1>} {}

// -----

// What it keeps of rows is f32 always.
// expected-error @+1 {{unknown field 'states'; known are learning_rate, epsilon, weight_decay, clip_norm, lazy, schedule, rounding}}
module attributes {test.a = #peer.rowwise_adagrad<states = bf16>} {}

// -----

// Every row takes part in the columns' means.
// expected-error @+1 {{unknown field 'lazy'; known are learning_rate, decay_rate, epsilon, clip_threshold, weight_decay, clip_norm, schedule, rounding}}
module attributes {test.a = #peer.adafactor<lazy = true>} {}

// -----

// expected-error @+1 {{'decay_rate' must lie in [0.000000e+00, 1.000000e+00], got 2.000000e+00}}
module attributes {test.a = #peer.adafactor<decay_rate = 2>} {}

// -----

// expected-error @+1 {{unknown field 'beta1'; known are learning_rate, epsilon, weight_decay, clip_norm, lazy, schedule, rounding}}
module attributes {test.a = #peer.rowwise_adagrad<beta1 = 0.9>} {}

// -----

// expected-error @+1 {{'beta2' must lie in [0.000000e+00, 9.999999e-01], got 1.000000e+00}}
module attributes {test.a = #peer.rowwise_adam<beta2 = 1>} {}

// -----

func.func @init_unknown() {
  // expected-error @+1 {{unknown initialiser 'xavier'; known are normal(std), uniform(low, high), constant(value), zeros, ones}}
  %0 = peer.param "a" xavier(1.0) : tensor<4xf32>
  return
}

// -----

func.func @init_missing() {
  // expected-error @+1 {{expected an initialiser; known are normal(std), uniform(low, high), constant(value), zeros, ones}}
  %0 = peer.param "a" : tensor<4xf32>
  return
}

// -----

func.func @init_negative_std() {
  // expected-error @+1 {{the standard deviation must lie in [0, 1e30], got -1.000000e-01}}
  %0 = peer.param "a" normal(-0.1) : tensor<4xf32>
  return
}

// -----

func.func @init_empty_range() {
  // expected-error @+1 {{uniform wants low <= high, got 1.000000e+00 and 0.000000e+00}}
  %0 = peer.param "a" uniform(1, 0) : tensor<4xf32>
  return
}

// -----

func.func @init_infinite() {
  // expected-error @+1 {{expected a finite number of f32, got 0x7FF0000000000000}}
  %0 = peer.param "a" constant(1.0e999) : tensor<4xf32>
  return
}

// -----

func.func @init_infinite_in_f32() {
  // expected-error @+1 {{expected a finite number of f32, got -9.9}}
  %0 = peer.param "a" uniform(-1.0e39, 1.0) : tensor<4xf32>
  return
}

// -----

func.func @init_too_small_for_f32() {
  // expected-error @+1 {{expected 0 or a number of at least 1.2e-38, which f32 can hold, got 1.000000e-46}}
  %0 = peer.param "a" normal(1.0e-46) : tensor<4xf32>
  return
}

// -----

func.func @init_std_of_infinite_values() {
  // expected-error @+1 {{the standard deviation must lie in [0, 1e30], got 1.000000e+38}}
  %0 = peer.param "a" normal(1.0e38) : tensor<4xf32>
  return
}

// -----

func.func @init_one_number() {
  // expected-error @+1 {{expected ','}}
  %0 = peer.param "a" uniform(1.0) : tensor<4xf32>
  return
}

// -----

// expected-error @+1 {{unknown initialiser 'kaiming'; known are normal(std), uniform(low, high), constant(value), zeros, ones}}
module attributes {test.a = #peer.init<kaiming>} {}

// -----

// expected-error @+2 {{unknown initialiser 'random'}}
// expected-error @+1 {{failed to parse Peer_ParameterAttr parameter 'init'}}
module attributes {test.a = #peer.parameter<"a", <random>, "default", true>} {}
