  %e = arith.negf %e : tensor<?x5xf32>
