// Upstream's elementwise ops on GPUs: 16-byte accesses, broadcasts, transpositions and sums, aligned or not.
#include "NNOpTest.h"

namespace peer::numerics {
namespace {

using namespace reference;

struct GpuElementwise : ::testing::TestWithParam<int64_t> {};

std::string replaceAll(std::string text, const std::string &from, const std::string &to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// D stands for the number of columns. The transposed x is read along a column, the sum stays within a thread, bf16 and f32 meet
// in one op, and a tile of tokens ends beside a border.
const char *const kModel = R"(
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>
#column = affine_map<(i, j) -> (i)>
#turned = affine_map<(i, j) -> (j, i)>
!x = tensor<?xDxf32>  !b = tensor<Dxf32>  !s = tensor<70xDxf32>  !n = tensor<70xDxbf16>
func.func @f(%x: !x {peer.name = "x"}, %b: !b {peer.name = "b"}, %s: !s {peer.name = "s"}, %n: !n {peer.name = "n"})
    -> (!x {peer.name = "biased"}, tensor<Dx70xf32> {peer.name = "turned"}, tensor<70xf32> {peer.name = "sums"},
        !s {peer.name = "mixed"}) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %t = tensor.dim %x, %c0 : !x
  %e0 = tensor.empty(%t) : !x
  %biased = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %b : !x, !b) outs(%e0 : !x) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %p = arith.mulf %u, %v : f32
    %q = arith.addf %p, %v : f32
    linalg.yield %q : f32
  } -> !x
  %e1 = tensor.empty() : tensor<Dx70xf32>
  %turned = linalg.generic {indexing_maps = [#turned, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : !s) outs(%e1 : tensor<Dx70xf32>) {
  ^bb0(%u: f32, %o: f32):
    linalg.yield %u : f32
  } -> tensor<Dx70xf32>
  %e2 = tensor.empty() : tensor<70xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<70xf32>) -> tensor<70xf32>
  %sums = linalg.generic {indexing_maps = [#id, #column], iterator_types = ["parallel", "reduction"]}
      ins(%s : !s) outs(%z2 : tensor<70xf32>) {
  ^bb0(%u: f32, %o: f32):
    %p = arith.addf %u, %o : f32
    linalg.yield %p : f32
  } -> tensor<70xf32>
  %e3 = tensor.empty() : !s
  %mixed = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s, %n : !s, !n) outs(%e3 : !s) {
  ^bb0(%u: f32, %v: bf16, %o: f32):
    %w = arith.extf %v : bf16 to f32
    %p = arith.subf %u, %w : f32
    linalg.yield %p : f32
  } -> !s
  return %biased, %turned, %sums, %mixed : !x, tensor<Dx70xf32>, tensor<70xf32>, !s
}
)";

TEST_P(GpuElementwise, AgreesWithTheSameOnTheHost) {
  int64_t columns = GetParam();
  auto compiled = Compiled::compile(replaceAll(kModel, "D", std::to_string(columns)), Code::Gpu);
  ASSERT_TRUE(compiled);
  for (int64_t tokens : {0, 1, 19, 131}) {
    Array x = random({tokens, columns}, 1), b = random({columns}, 2), s = random({70, columns}, 3), n = s;
    // Eighths are exact in bf16.
    for (double &value : n.values)
      value = static_cast<int>(value * 8) / 8.0;
    Array biased = x, turned({columns, 70}), sums({70}), mixed = s;
    for (int64_t i = 0; i < tokens * columns; ++i)
      biased.values[i] = x.values[i] * b.values[i % columns] + b.values[i % columns];
    for (int64_t i = 0; i < 70 * columns; ++i) {
      turned.values[i % columns * 70 + i / columns] = s.values[i];
      sums.values[i / columns] += s.values[i];
      mixed.values[i] -= n.values[i];
    }
    runtime::TensorMap inputs;
    inputs.emplace("x", toTensor(x));
    inputs.emplace("b", toTensor(b));
    inputs.emplace("s", toTensor(s));
    inputs.emplace("n", toTensor(n, "bf16"));
    runtime::TensorMap results = compiled->call("f", inputs);
    ASSERT_EQ(results.size(), 4u);
    for (auto [name, expected, tolerance] : {std::tuple{"biased", &biased, 2e-7},
                                             {"turned", &turned, 0.0},
                                             {"sums", &sums, 5e-6},
                                             {"mixed", &mixed, 1e-7}}) {
      EXPECT_TRUE(compiled->agrees(results, name, expected->shape, expected->values, tolerance)) << tokens << " tokens";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Columns, GpuElementwise, ::testing::Values(1, 37, 44, 256));

} // namespace
} // namespace peer::numerics
