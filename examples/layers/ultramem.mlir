// UltraMem's memory layer (arXiv 2411.12364). Of 16 x 16 addresses the score of (i, j) is a bilinear form of two keys' scores in place of their sum: over r and s
// the sum of a[r, i] C[r, s] b[s, j], of rank 2 (TDQKR). Two cores C score each address: a token takes the 4 with the largest sum of both, sought among the 4 best
// rows and 4 best columns by the best approximation of rank 1 of the cores' sum. Either core's score weights one half of a value, without a softmax (MCS).
// There are half as many values as addresses: (i, 2 v) and (i, 2 v + 1) are the same one, behind one of two projections (IVE).
// Chosen where it is open: which addresses share a value; the sign of the approximation, whose row vector's larger component is positive; RMS norms of queries,
// while keys learn their length. Left out: the convolution over queries, and the loss that keeps cores near rank 1.
!act = tensor<?x64xf32>  !half = tensor<?x32xf32>  !mat = tensor<64x64xf32>  !keys = tensor<2x2x16x16xf32>  !core = tensor<2x2xf32>  !v2 = tensor<2xf32>  !f = tensor<f32>
!query = tensor<?x2x2x16xf32>  !side = tensor<?x2x1x16xf32>  !rank = tensor<?x2x16xf32>  !n = tensor<?x16xf32>  !flat = tensor<?x1x1x16xf32>  !idx = tensor<?x1x4xi32>
!w = tensor<?x1x4xf32>  !idx2 = tensor<?x2x4xi32>  !w2 = tensor<?x2x4xf32>  !four = tensor<?x4xf32>  !grid = tensor<?x4x4xf32>  !both = tensor<?x2x2x4x4xf32>
!pool = tensor<128x1x64xf32>  !part = tensor<128x1x32xf32>

// Leading singular vectors, up to their lengths: a high power of C C^T has the left one in its columns, of which the one with the larger diagonal is taken.
func.func private @leading(%c: !core) -> (!v2, !v2) {
  %g0 = peer.linear %c, %c {transpose_weight} : !core, !core  %c2 = arith.mulf %c, %c : !core  %tr = peer.reduce sum %c2 along [0, 1] : !core
  %tb = peer.broadcast %tr like %c along [0, 1] : !f, !core   %g1 = arith.divf %g0, %tb : !core
  %g2 = peer.linear %g1, %g1 : !core, !core                   %g4 = peer.linear %g2, %g2 : !core, !core  %g8 = peer.linear %g4, %g4 : !core, !core
  %g16 = peer.linear %g8, %g8 : !core, !core                  %g = peer.linear %g16, %g16 : !core, !core
  %r0 = peer.slice %g along 0 from 0 size 1 : !core           %p0 = peer.reshape %r0 to !v2 : tensor<1x2xf32>
  %r1 = peer.slice %g along 0 from 1 size 1 : !core           %p1 = peer.reshape %r1 to !v2 : tensor<1x2xf32>
  %d0 = peer.slice %p0 along 0 from 0 size 1 : !v2            %e0 = peer.reduce sum %d0 along [0] : tensor<1xf32>  %b0 = peer.broadcast %e0 like %p0 along [0] : !f, !v2
  %d1 = peer.slice %p1 along 0 from 1 size 1 : !v2            %e1 = peer.reduce sum %d1 along [0] : tensor<1xf32>  %b1 = peer.broadcast %e1 like %p1 along [0] : !f, !v2
  %m = arith.cmpf oge, %b0, %b1 : !v2                         %u = arith.select %m, %p0, %p1 : tensor<2xi1>, !v2
  %ur = peer.reshape %u to tensor<1x2xf32> : !v2              %t0 = peer.linear %ur, %c : tensor<1x2xf32>, !core
  %t = peer.reshape %t0 to !v2 : tensor<1x2xf32>              return %u, %t : !v2, !v2
}
// The 4 best of 16 scores, those of a rank weighted by its component of a vector; and for each rank their own scores.
func.func private @best(%side: !side, %u: !v2) -> (!idx, !w2) {
  %s = peer.reshape %side to !rank : !side                    %ub = peer.broadcast %u like %s along [0, 2] : !v2, !rank
  %su = arith.mulf %s, %ub : !rank                            %a = peer.reduce sum %su along [1] : !rank
  %l = peer.reshape %a to !flat : !n                          %i, %v = peer.select %l topk<4> : !flat
  %i2 = peer.concat %i, %i along 1 : !idx, !idx               %w = peer.gather %side, %i2 : !side, !idx2  return %i, %w : !idx, !w2
}
func.func @layer(%x: !act {peer.name = "x"}) -> (!act {peer.name = "y"}) {
  %wq = peer.param "query.weight" normal(0.2) : !mat          %q0 = peer.linear %x, %wq : !act, !mat
  %q1 = peer.reshape %q0 to !n : !act                         %gq = peer.param "query_norm.weight" uniform(0.5, 1.5) : tensor<16xf32>
  %q2 = peer.rms_norm %q1, %gq {epsilon = 1.0e-6 : f32} : !n, tensor<16xf32>  %q = peer.reshape %q2 to !query : !n
  // Two ranks stand where heads do; halves are rows and columns.
  %k = peer.param "keys" normal(0.3) : !keys                  %s = peer.score %q, %k : !query, !keys
  %a = peer.slice %s along 2 from 0 size 1 : !query           %b = peer.slice %s along 2 from 1 size 1 : !query
  // Columns 0 and 1 are one core's, 2 and 3 the other's.
  %cores = peer.param "cores" normal(0.5) : tensor<2x4xf32>   %c0 = peer.slice %cores along 1 from 0 size 2 : tensor<2x4xf32>
  %c1 = peer.slice %cores along 1 from 2 size 2 : tensor<2x4xf32>  %c = arith.addf %c0, %c1 : !core
  %u, %t = peer.call "" @leading(%c) : (!core) -> (!v2, !v2)
  %i, %ai = peer.call "" @best(%a, %u) : (!side, !v2) -> (!idx, !w2)  %j, %bj = peer.call "" @best(%b, %t) : (!side, !v2) -> (!idx, !w2)
  // Exact scores of 2 cores x 4 rows x 4 columns: a through the cores, times b. Of %like nothing but its shape is read.
  %a0 = peer.transpose %ai [0, 2, 1] : !w2                    %a1 = peer.reshape %a0 to tensor<?x2xf32> : tensor<?x4x2xf32>
  %a2 = peer.linear %a1, %cores : tensor<?x2xf32>, tensor<2x4xf32>  %a3 = peer.reshape %a2 to !grid : !four  %a4 = peer.transpose %a3 [0, 2, 1] : !grid
  %a5 = peer.reshape %a4 to tensor<?x2x2x4xf32> : !grid       %like = peer.reshape %s to !both : !query
  %ab = peer.broadcast %a5 like %like along [4] : tensor<?x2x2x4xf32>, !both  %bb = peer.broadcast %bj like %like along [1, 3] : !w2, !both
  %abc = arith.mulf %ab, %bb : !both                          %z = peer.reduce sum %abc along [2] : !both  %sum = peer.reduce sum %z along [1] : tensor<?x2x4x4xf32>
  %l = peer.reshape %sum to !flat : !grid                     %o, %best = peer.select %l topk<4> : !flat  %o2 = peer.concat %o, %o along 1 : !idx, !idx
  %zl = peer.reshape %z to !side : tensor<?x2x4x4xf32>        %zo = peer.gather %zl, %o2 : !side, !idx2
  // Value 8 i + floor(j / 2), of the 16 candidates and then of the 4; 1 where the projection is the second one.
  %if = arith.sitofp %i : !idx to !w                          %i4 = peer.reshape %if to !four : !w  %jf = arith.sitofp %j : !idx to !w  %j4 = peer.reshape %jf to !four : !w
  %eight = arith.constant dense<8.0> : !f                     %e4 = peer.broadcast %eight like %i4 along [0, 1] : !f, !four  %i8 = arith.mulf %i4, %e4 : !four
  %two = arith.constant dense<2.0> : !f                       %t4 = peer.broadcast %two like %j4 along [0, 1] : !f, !four
  %jd = arith.divf %j4, %t4 : !four                           %jh = math.floor %jd : !four  %j2 = arith.mulf %jh, %t4 : !four  %p4 = arith.subf %j4, %j2 : !four
  %ib = peer.broadcast %i8 like %sum along [2] : !four, !grid  %jb = peer.broadcast %jh like %sum along [1] : !four, !grid  %v0 = arith.addf %ib, %jb : !grid
  %v1 = peer.reshape %v0 to !flat : !grid                     %v2 = peer.gather %v1, %o : !flat, !idx  %value = arith.fptosi %v2 : !w to !idx
  %pb = peer.broadcast %p4 like %sum along [1] : !four, !grid  %p1 = peer.reshape %pb to !flat : !grid  %p = peer.gather %p1, %o : !flat, !idx
  %wa = peer.slice %zo along 1 from 0 size 1 : !w2            %wa1 = arith.mulf %wa, %p : !w  %wa0 = arith.subf %wa, %wa1 : !w
  %wb = peer.slice %zo along 1 from 1 size 1 : !w2            %wb1 = arith.mulf %wb, %p : !w  %wb0 = arith.subf %wb, %wb1 : !w
  %pool = peer.param "values" normal(0.5) group("values") : !pool  %h = peer.slice %x along 1 from 0 size 32 : !act
  %va = peer.slice %pool along 2 from 0 size 32 : !pool       %vb = peer.slice %pool along 2 from 32 size 32 : !pool
  %ma0 = peer.mix %h, %value, %wa0, %va : !half, !idx, !w, !part  %mb0 = peer.mix %h, %value, %wb0, %vb : !half, !idx, !w, !part
  %ma1 = peer.mix %h, %value, %wa1, %va : !half, !idx, !w, !part  %mb1 = peer.mix %h, %value, %wb1, %vb : !half, !idx, !w, !part
  %m0 = peer.concat %ma0, %mb0 along 1 : !half, !half         %w0 = peer.param "projections.0.weight" normal(0.2) : !mat  %y0 = peer.linear %m0, %w0 : !act, !mat
  %m1 = peer.concat %ma1, %mb1 along 1 : !half, !half         %w1 = peer.param "projections.1.weight" normal(0.2) : !mat  %y1 = peer.linear %m1, %w1 : !act, !mat
  %y = arith.addf %y0, %y1 : !act                             return %y : !act
}
peer.gradient @layer_grad of @layer
