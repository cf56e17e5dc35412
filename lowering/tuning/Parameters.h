//===- Parameters.h - numbers of CPU kernels that a machine may want otherwise ===//
//
// What depends on caches, latencies and threads: any value gives code that computes the same, to the bit but for the products of `linear`, whose sums
// a BLAS orders by their sizes. Emitters ask for them by `tuned` (Tuning.h), `--tune` sets them, `--autotune` finds them. Tiles that hand scores to a
// BLAS are not among them: what is selected may not depend on a machine. The standard library alone: the search and its tests need no MLIR.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_TUNING_PARAMETERS_H
#define PEER_LOWERING_TUNING_PARAMETERS_H

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace peer {

struct TuningParameter {
  std::string_view name, meaning;
  /// Where nobody says otherwise.
  int64_t value;
  /// Worth trying, in order; zeros end the list.
  std::array<int64_t, 6> tried;
  /// By their names in the manifest: the kernels whose time it moves. Empty ones end the list.
  std::array<std::string_view, 4> kernels;
  /// The largest value that code is made for; the least is 1.
  int64_t most = 65536;
};

/// Values by the names of parameters; what is not there has its own value.
using TuningValues = std::map<std::string, int64_t, std::less<>>;

namespace tuning {

inline constexpr TuningParameter kMixTokens{
    "mix.tokens", "tokens that a thread takes at a time", 16, {4, 8, 16, 32, 64}, {"mix", "quantized_mix"}, 4096};
inline constexpr TuningParameter kMixAhead{"mix.bytes_ahead",
                                           "bytes of rows between a prefetch and the use; 4 to 16 rows",
                                           32768,
                                           {8192, 16384, 32768, 65536},
                                           {"mix", "quantized_mix", "mix_grad"},
                                           1 << 20};
inline constexpr TuningParameter kMixGroup{"mix.group_kib",
                                           "KiB of rows that are read twice, the second time from L2; 16 to 128 rows",
                                           256,
                                           {64, 128, 256, 512},
                                           {"mix", "quantized_mix", "mix_grad"},
                                           65536};
inline constexpr TuningParameter kMixGradTokens{
    "mix_grad.tokens", "tokens that a thread takes at a time", 16, {4, 8, 16, 32, 64}, {"mix_grad"}, 4096};
inline constexpr TuningParameter kRouteTokens{"route.tokens",
                                              "tokens of a tile that bounds scores by integers: they share keys",
                                              256,
                                              {64, 128, 192, 256, 384, 512},
                                              {"route"},
                                              4096};
inline constexpr TuningParameter kLinearTokens{
    "linear.tokens", "tokens of a product", 128, {32, 64, 128, 256, 512}, {"linear"}, 65536};
inline constexpr TuningParameter kLinearColumns{"linear.columns",
                                                "columns of a product, or half of those that the weight has",
                                                512,
                                                {128, 256, 512, 1024, 2048},
                                                {"linear"},
                                                65536};
inline constexpr TuningParameter kLinearGradientRows{
    "linear.gradient_rows", "rows of a weight's gradient in a product", 64, {32, 64, 128, 256}, {"linear"}, 65536};
inline constexpr TuningParameter kRowUpdateAhead{"row_update.bytes_ahead",
                                                 "bytes of a table between a prefetch and the use",
                                                 8192,
                                                 {2048, 4096, 8192, 16384, 32768},
                                                 {"row_update"},
                                                 1 << 20};
inline constexpr TuningParameter kSortPairs{"sort_pairs.pairs",
                                            "pairs that a thread takes at a time",
                                            8192,
                                            {2048, 4096, 8192, 16384},
                                            {"sort_pairs"},
                                            1 << 20};
inline constexpr TuningParameter kUpdateElements{"update.elements",
                                                 "elements that a thread takes at a time",
                                                 16384,
                                                 {4096, 8192, 16384, 32768, 65536},
                                                 {"update"},
                                                 1 << 20};
inline constexpr TuningParameter kNormTokens{"norm.tokens",
                                             "tokens that a thread takes at a time",
                                             64,
                                             {16, 32, 64, 128},
                                             {"rms_norm", "rms_norm_grad", "layer_norm", "layer_norm_grad"},
                                             4096};
inline constexpr TuningParameter kActivationTokens{"activation.tokens", "tokens that a thread takes at a time", 64,
                                                   {16, 32, 64, 128},   {"activation", "activation_grad"},      4096};
inline constexpr TuningParameter kElementwiseRows{
    "elementwise.rows", "rows that a thread takes at a time", 64, {16, 32, 64, 128}, {"elementwise"}, 4096};

} // namespace tuning

/// All there are, by their kernels.
inline constexpr std::array kTuningParameters{
    &tuning::kMixTokens,        &tuning::kMixAhead,       &tuning::kMixGroup,       &tuning::kMixGradTokens,
    &tuning::kRouteTokens,      &tuning::kLinearTokens,   &tuning::kLinearColumns,  &tuning::kLinearGradientRows,
    &tuning::kRowUpdateAhead,   &tuning::kSortPairs,      &tuning::kUpdateElements, &tuning::kNormTokens,
    &tuning::kActivationTokens, &tuning::kElementwiseRows};

/// Its value among these, or its own.
inline int64_t valueOf(const TuningValues &values, const TuningParameter &parameter) {
  auto found = values.find(parameter.name);
  return found == values.end() ? parameter.value : found->second;
}

} // namespace peer

#endif // PEER_LOWERING_TUNING_PARAMETERS_H
