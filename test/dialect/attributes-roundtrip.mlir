// RUN: %peer-pass %s | %peer-pass | FileCheck %s

// What is not given has its default; print says all.
// CHECK: #peer.adamw<learning_rate = 1.000000e-03, beta1 = 9.000000e-01, beta2 = 0.94999999999999996, epsilon = 1.000000e-08, weight_decay = 0.000000e+00, clip_norm = 0.000000e+00, lazy = false>
module attributes {test.a = #peer.adamw} {}
// CHECK: #peer.adamw<learning_rate = 1.000000e-03, beta1 = 9.000000e-01, beta2 = 0.94999999999999996, epsilon = 1.000000e-08, weight_decay = 0.000000e+00, clip_norm = 0.000000e+00, lazy = false>
module attributes {test.a = #peer.adamw<>} {}
// In any order, with or without a point.
// CHECK: #peer.adamw<learning_rate = 4.000000e-03, beta1 = 0.000000e+00, beta2 = 0.99899999999999999, epsilon = 9.9999999999999995E-7, weight_decay = 1.000000e-01, clip_norm = 1.000000e+00, lazy = true>
module attributes {test.a = #peer.adamw<lazy = true, clip_norm = 1, weight_decay = 0.1, epsilon = 1.0e-6, beta2 = 0.999, beta1 = 0, learning_rate = 4.0e-3>} {}
// CHECK: #peer.adamw<{{.*}}, lazy = true>
module attributes {test.a = #peer.adamw<lazy>} {}
// CHECK: #peer.adamw<{{.*}}, lazy = false>
module attributes {test.a = #peer.adamw<lazy = false>} {}
// CHECK: #peer.sgd<learning_rate = 1.000000e-02, momentum = 0.000000e+00, weight_decay = 0.000000e+00, clip_norm = 0.000000e+00, lazy = false>
module attributes {test.a = #peer.sgd} {}
// CHECK: #peer.sgd<learning_rate = 5.000000e-01, momentum = 9.000000e-01, weight_decay = 1.000000e-02, clip_norm = 2.000000e+00, lazy = true>
module attributes {test.a = #peer.sgd<learning_rate = 0.5, momentum = 0.9, weight_decay = 0.01, clip_norm = 2.0, lazy>} {}
// CHECK: #peer.rowwise_adagrad<learning_rate = 1.000000e-02, epsilon = 1.000000e-08, weight_decay = 0.000000e+00, clip_norm = 0.000000e+00, lazy = false>
module attributes {test.a = #peer.rowwise_adagrad} {}
// CHECK: #peer.rowwise_adam<learning_rate = 1.000000e-03, beta1 = 9.000000e-01, beta2 = 0.94999999999999996, epsilon = 1.000000e-08, weight_decay = 0.000000e+00, clip_norm = 0.000000e+00, lazy = true>
module attributes {test.a = #peer.rowwise_adam<lazy>} {}
// CHECK: #peer.adafactor<learning_rate = 1.000000e-03, decay_rate = 8.000000e-01, epsilon = 1.000000e-30, clip_threshold = 1.000000e+00, weight_decay = 0.000000e+00, clip_norm = 0.000000e+00>
module attributes {test.a = #peer.adafactor} {}
// What is the default is not printed of these three.
// CHECK: #peer.sgd<{{.*}}, lazy = false, schedule = constant, rounding = nearest>
module attributes {test.a = #peer.sgd<rounding = nearest, schedule = constant>} {}
// CHECK: #peer.sgd<{{.*}}, lazy = false>
module attributes {test.a = #peer.sgd<rounding = stochastic>} {}
// CHECK: #peer.adamw<{{.*}}, lazy = true, schedule = linear, rounding = nearest, states = bf16>
module attributes {test.a = #peer.adamw<states = bf16, rounding = nearest, lazy, schedule = linear>} {}
// CHECK: #peer.rowwise_adam<{{.*}}, lazy = false, states = bf16>
module attributes {test.a = #peer.rowwise_adam<states = bf16>} {}
// CHECK: #peer.sgd<{{.*}}, lazy = false>
module attributes {test.a = #peer.sgd<momentum = 0.9, states = f32>} {}
// Every digit of a number survives.
// CHECK: #peer.sgd<learning_rate = 0.12345678901234568,
module attributes {test.a = #peer.sgd<learning_rate = 0.12345678901234568>} {}

// CHECK: #peer.init<normal(2.000000e-02)>
module attributes {test.a = #peer.init<normal(0.02)>} {}
// CHECK: #peer.init<uniform(-1.000000e+00, 5.000000e-01)>
module attributes {test.a = #peer.init<uniform(-1, 0.5)>} {}
// CHECK: #peer.init<constant(3.000000e+00)>
module attributes {test.a = #peer.init<constant(3)>} {}
// CHECK: #peer.init<ones>
module attributes {test.a = #peer.init<constant(1.0)>} {}
// CHECK: #peer.init<zeros>
module attributes {test.a = #peer.init<zeros>} {}

// CHECK: #peer.parameter<"blocks.0.experts", <normal(2.000000e-02)>, "experts", true>
module attributes {test.a = #peer.parameter<"blocks.0.experts", <normal(0.02)>, "experts", true>} {}

// CHECK: #peer.product_topk<16>
module attributes {test.a = #peer.product_topk<16>} {}
// CHECK: #peer.all
module attributes {test.a = #peer.all} {}
// CHECK: #peer.top_p<1.000000e+00, max = 8>
module attributes {test.a = #peer.top_p<1, max = 8>} {}
// CHECK: #peer.threshold<-5.000000e-01, max = 8>
module attributes {test.a = #peer.threshold<-0.5, max = 8>} {}
// CHECK: #peer.threshold<7.500000e-01, of = sigmoid, max = 8>
module attributes {test.a = #peer.threshold<0.75, of = sigmoid, max = 8>} {}
// CHECK: #peer<gate_kind probability>
module attributes {test.a = #peer<gate_kind probability>} {}
// CHECK: #peer<activation_kind silu>
module attributes {test.a = #peer<activation_kind silu>} {}
