// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// Constraints on names, of the model-level ops that have some.
func.func @param_c1_empty() {
  // expected-error @+1 {{'peer.param' op C1: expected a name, got '': it is empty}}
  %0 = peer.param "" zeros : tensor<4xf32>
  return
}

// -----

func.func @param_c1_space() {
  // expected-error @+1 {{'peer.param' op C1: expected a name, got 'a b': it holds a space}}
  %0 = peer.param "a b" zeros : tensor<4xf32>
  return
}

// -----

func.func @param_c1_newline() {
  // expected-error @+1 {{'peer.param' op C1: expected a name, got 'a\0Ab': it holds a character that cannot be printed}}
  %0 = peer.param "a\nb" zeros : tensor<4xf32>
  return
}

// -----

func.func @param_c1_no_utf8() {
  // expected-error @+1 {{'peer.param' op C1: expected a name, got 'a\FF': it is not UTF-8}}
  %0 = peer.param "a\FF" zeros : tensor<4xf32>
  return
}

// -----

func.func @param_c1_metadata() {
  // expected-error @+1 {{'peer.param' op C1: expected a name, got '__metadata__': a safetensors file has no tensor of that name}}
  %0 = peer.param "__metadata__" zeros : tensor<4xf32>
  return
}

// -----

func.func @param_c1_state() {
  // expected-error @+1 {{'peer.param' op C1: expected a name, got 'state:w': checkpoints keep optimizer states under names that begin with 'state:'}}
  %0 = peer.param "state:w" zeros : tensor<4xf32>
  return
}

// -----

// What can be printed is a name, in any script.
func.func @param_c1_good() {
  %0 = peer.param "größe.\22x\22/\\y[0]" zeros group("专家") : tensor<4xf32>
  return
}

// -----

func.func @param_c4_empty() {
  // expected-error @+1 {{'peer.param' op C4: expected the name of a group, got '': it is empty}}
  %0 = peer.param "a" zeros group("") : tensor<4xf32>
  return
}

// -----

func.func @param_c4_equals() {
  // expected-error @+1 {{'peer.param' op C4: expected the name of a group, got 'a=b': options name groups in GROUP=VALUE, so it cannot hold '=' or ','}}
  %0 = peer.param "a" zeros group("a=b") : tensor<4xf32>
  return
}

// -----

func.func private @block(%x: tensor<4xf32>) -> tensor<4xf32>
func.func @call_c3_prefix(%x: tensor<4xf32>) {
  // expected-error @+1 {{'peer.call' op C3: expected a prefix of names, got 'block 1': it holds a space}}
  %0 = peer.call "block 1" @block(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func private @block(%x: tensor<4xf32>) -> tensor<4xf32>
func.func @repeat_c3_prefix(%x: tensor<4xf32>) {
  // expected-error @+1 {{'peer.repeat' op C3: expected a prefix of names, got 'blocks\09': it holds a character that cannot be printed}}
  %0 = peer.repeat "blocks\t" 2 @block(%x) : tensor<4xf32>
  return
}

// -----

func.func @logits(%tokens: tensor<?xi32>) -> tensor<?xi32> {
  return %tokens : tensor<?xi32>
}
// expected-error @+1 {{'peer.decode' op C2: expected a prefill entry with a name of its own, got @logits}}
peer.decode @decode_c2_function prefill @logits of @logits

// -----

func.func @logits(%tokens: tensor<?xi32>) -> tensor<?xi32> {
  return %tokens : tensor<?xi32>
}
// expected-error @+1 {{'peer.decode' op C2: expected a prefill entry with a name of its own, got @prefill}}
peer.decode @decode_c2_twice prefill @prefill of @logits
peer.decode @decode_again prefill @prefill of @logits
