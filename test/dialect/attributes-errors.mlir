// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// expected-error @+1 {{unknown field 'rate'; known are learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm, lazy}}
module attributes {test.a = #peer.adamw<rate = 1.0>} {}

// -----

// expected-error @+1 {{unknown field 'beta1'; known are learning_rate, momentum, weight_decay, clip_norm, lazy}}
module attributes {test.a = #peer.sgd<beta1 = 1.0>} {}

// -----

// expected-error @+1 {{'beta1' must lie in [0.000000e+00, 9.999999e-01], got 1.000000e+00}}
module attributes {test.a = #peer.adamw<beta1 = 1.0>} {}

// -----

// expected-error @+1 {{'learning_rate' must lie in [0.000000e+00, 1.000000e+03], got -1.000000e-01}}
module attributes {test.a = #peer.adamw<learning_rate = -0.1>} {}

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

// expected-error @+1 {{expected FIELD = VALUE; known fields are learning_rate, momentum, weight_decay, clip_norm, lazy}}
module attributes {test.a = #peer.sgd<0.1>} {}

// -----

// expected-error @+1 {{'lazy' must be true or false}}
module attributes {test.a = #peer.sgd<lazy = 1>} {}

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
  // expected-error @+1 {{the standard deviation must not be negative, got -1.000000e-01}}
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
  // expected-error @+1 {{expected a finite number}}
  %0 = peer.param "a" constant(1.0e999) : tensor<4xf32>
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
