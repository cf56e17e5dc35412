// RUN: %peer-pass %s --peer-inline-modules --split-input-file --verify-diagnostics

func.func @shapes(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-note @+1 {{first used here}}
  %a = peer.param "w" zeros : tensor<8x8xf32>
  // expected-error @+1 {{parameter 'w' is used twice in different ways: here as 'tensor<8x4xf32>', before as 'tensor<8x8xf32>'}}
  %b = peer.param "w" zeros : tensor<8x4xf32>
  %y = peer.linear %x, %a : tensor<?x8xf32>, tensor<8x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// One table of names serves all entries of an artifact.
func.func @one(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-note @+1 {{first used here}}
  %a = peer.param "w" zeros : tensor<8xf32>
  return %a : tensor<8xf32>
}
func.func @two(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @+1 {{parameter 'w' is used twice in different ways: here as #peer.parameter<"w", <ones>, "default", true>, before as #peer.parameter<"w", <zeros>, "default", true>}}
  %a = peer.param "w" ones : tensor<8xf32>
  return %a : tensor<8xf32>
}

// -----

func.func private @a(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = peer.call "b" @b(%x) : (tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func private @b(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @+1 {{makes @a call itself; a model description cannot recurse}}
  %y = peer.repeat "a" 2 @a(%x) : tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func @entry(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = peer.call "a" @a(%x) : (tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// expected-error @+2 {{entry @f has two arguments named 'x', an input and an input; rename the input}}
// expected-note @+1 {{the other one comes from here}}
func.func @f(%x: tensor<8xf32> {peer.name = "x"}, %z: tensor<8xf32> {peer.name = "x"}) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}

// -----

// expected-error @+1 {{entry @f has two arguments named 'w', an input and a parameter; rename the input}}
func.func @f(%x: tensor<8xf32> {peer.name = "w"}) -> tensor<8xf32> {
  // expected-note @+1 {{the other one comes from here}}
  %w = peer.param "w" zeros : tensor<8xf32>
  %y = arith.addf %x, %w : tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// expected-error @+1 {{entry @f has two results named 'y'; rename one}}
func.func @f(%x: tensor<8xf32>) -> (tensor<8xf32> {peer.name = "y"}, tensor<8xf32> {peer.name = "y"}) {
  return %x, %x : tensor<8xf32>, tensor<8xf32>
}

// -----

func.func private @declared(tensor<8xf32>) -> tensor<8xf32>
func.func @entry(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @+1 {{calls @declared, which has no body here}}
  %y = peer.call "" @declared(%x) : (tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

func.func @region(%x: tensor<8xf32>, %c: i1) -> tensor<8xf32> {
  %y = scf.if %c -> tensor<8xf32> {
    // expected-error @+1 {{must stand directly in a function's body, not in a region}}
    %w = peer.param "w" zeros : tensor<8xf32>
    scf.yield %w : tensor<8xf32>
  } else {
    scf.yield %x : tensor<8xf32>
  }
  return %y : tensor<8xf32>
}

// -----

// expected-error @+1 {{@branches has control flow; only straight-line functions can be inlined}}
func.func @branches(%x: tensor<8xf32>) -> tensor<8xf32> {
  cf.br ^end
^end:
  return %x : tensor<8xf32>
}

// -----

// Repeats in repeats multiply: the size is known before anything is copied.
func.func private @unit(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = arith.addf %x, %x : tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func private @inner(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = peer.repeat "u" 1000 @unit(%x) : tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func private @outer(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = peer.repeat "i" 1000 @inner(%x) : tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func private @outermost(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = peer.repeat "o" 65536 @outer(%x) : tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func private @beyond(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = peer.repeat "o" 65536 @outermost(%x) : tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func @entry(%x: tensor<8xf32>) -> tensor<8xf32> {
  %z = peer.call "once" @unit(%x) : (tensor<8xf32>) -> tensor<8xf32>
  // expected-error @+1 {{op 'peer.repeat' makes entry @entry too large: with calls replaced by what they call, there are 2^64 or more ops up to here, and 10000 are what can be compiled}}
  %y = peer.repeat "all" 65536 @beyond(%z) : tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// So do calls, and calls of nothing.
func.func private @nothing(%x: tensor<8xf32>) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}
func.func @entry(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @+1 {{op 'peer.repeat' makes entry @entry too large: with calls replaced by what they call, there are 40001 ops up to here}}
  %y = peer.repeat "all" 20000 @nothing(%x) : tensor<8xf32>
  return %y : tensor<8xf32>
}
