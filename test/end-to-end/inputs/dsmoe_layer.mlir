// A layer that dsmoe cuts into blocks, alone: 16 wide, 32 hidden units behind gates.
!act = tensor<?x16xf32>  !hid = tensor<?x32xf32>  !up = tensor<16x32xf32>  !down = tensor<32x16xf32>
func.func @layer(%x: !act {peer.name = "x"}) -> (!act {peer.name = "y"}) {
  %wg = peer.param "ffw.gate.weight" normal(0.2) : !up    %g0 = peer.linear %x, %wg : !act, !up
  %wu = peer.param "ffw.up.weight" normal(0.2) : !up      %u  = peer.linear %x, %wu : !act, !up
  %g  = peer.activation %g0 silu : !hid                   %h  = arith.mulf %g, %u : !hid
  %wd = peer.param "ffw.down.weight" normal(0.2) : !down  %y  = peer.linear %h, %wd : !hid, !down
  return %y : !act
}
