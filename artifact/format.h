// What the compiler writes and the runtime reads, in the same words: numbers, keys of the manifest, values, names. runtime/README.md says what
// they mean. Constants alone, and no code of either side: both include this file, and it includes neither.
#pragma once

#include <cstdint>

namespace peer::format {

// The footer: magic, version, bytes of the object, bytes of the manifest, checksum, bytes of the description.
inline constexpr char kMagic[8] = {'P', 'E', 'E', 'R', 'A', 'R', 'T', '\0'};
inline constexpr uint32_t kVersion = 2;
// Without a description, which had no place there once.
inline constexpr uint32_t kVersionWithout = 1;
inline constexpr unsigned kFooterBytes = 48;
inline constexpr unsigned kVersionAt = 8, kObjectBytesAt = 16, kManifestBytesAt = 24, kChecksumAt = 32,
                          kDescriptionBytesAt = 40;

// The checksum, and fingerprints of entries: FNV-1a, 64 bits.
inline constexpr uint64_t kFnvStart = 0xcbf29ce484222325ull, kFnvPrime = 0x100000001b3ull;

// The manifest's own version.
inline constexpr int64_t kManifestVersion = 1;

/// Keys of the manifest's objects.
namespace key {
inline constexpr char kFormat[] = "format", kCompiler[] = "compiler", kModel[] = "model", kTarget[] = "target",
                      kParameters[] = "parameters", kGroups[] = "groups", kEntries[] = "entries",
                      kDerivations[] = "derivations", kVersions[] = "versions", kTuning[] = "tuning";
// Of the target.
inline constexpr char kDevice[] = "device", kCpu[] = "cpu", kFeatures[] = "features", kArch[] = "arch";
// Of tensors and of what has a name.
inline constexpr char kName[] = "name", kDType[] = "dtype", kShape[] = "shape", kRange[] = "range", kGrid[] = "grid";
// Of parameters, their initialisers and groups.
inline constexpr char kGroup[] = "group", kTrainable[] = "trainable", kFrozen[] = "frozen", kInit[] = "init",
                      kMean[] = "mean", kStd[] = "std", kLow[] = "low", kHigh[] = "high", kValue[] = "value",
                      kOptimizer[] = "optimizer", kLearningRate[] = "learning_rate", kLazy[] = "lazy",
                      kSchedule[] = "schedule";
// Of entries, arguments, results and kernels.
inline constexpr char kSymbol[] = "symbol", kKind[] = "kind", kOf[] = "of", kFingerprint[] = "fingerprint",
                      kDims[] = "dims", kMultipleOf[] = "multiple_of", kMax[] = "max", kArguments[] = "arguments",
                      kResults[] = "results", kKernels[] = "kernels", kRole[] = "role", kUpdated[] = "updated",
                      kCheck[] = "check", kWhat[] = "what", kBytes[] = "bytes", kFlops[] = "flops", kPairs[] = "pairs",
                      kActiveParameters[] = "active_parameters";
} // namespace key

/// The one dynamic dimension, in shapes and in `dims`.
inline constexpr char kTokens[] = "T";

/// Values of `target.device`.
namespace device {
inline constexpr char kCpu[] = "cpu", kCuda[] = "cuda";
} // namespace device

/// Values of an initialiser's `kind`.
namespace init {
inline constexpr char kNormal[] = "normal", kUniform[] = "uniform", kConstant[] = "constant";
} // namespace init

/// Values of a group's `schedule`.
namespace schedule {
inline constexpr char kConstant[] = "constant", kLinear[] = "linear", kCosine[] = "cosine";
} // namespace schedule

/// Values of an argument's `role`.
namespace role {
inline constexpr char kInput[] = "input", kParameter[] = "parameter", kState[] = "state", kUsage[] = "usage",
                      kScalar[] = "scalar", kDerived[] = "derived";
} // namespace role

/// Values of an entry's `kind`.
namespace kind {
inline constexpr char kForward[] = "forward", kGradient[] = "gradient", kLoss[] = "loss", kTrain[] = "train",
                      kAccumulate[] = "accumulate", kUpdate[] = "update", kPrefill[] = "prefill", kDecode[] = "decode",
                      kBackward[] = "backward", kRowUpdate[] = "row_update", kRowNorm[] = "row_norm",
                      kDerive[] = "derive";
} // namespace kind

/// Of what a list of pairs consists: `of` names the pool, the others name tensors of the entry.
namespace pairs {
inline constexpr char kIdx[] = "idx", kCoef[] = "coef", kX[] = "x", kDy[] = "dy";
} // namespace pairs

/// Scalars that the runtime sets, and results of training; those that end in a dot are followed by a group's name.
namespace name {
inline constexpr char kLoss[] = "loss", kGradientWeight[] = "gradient_weight", kFirstPart[] = "first_part";
inline constexpr char kStep[] = "step", kPosition[] = "position", kDropoutSeed[] = "dropout_seed",
                      kLearningRateOf[] = "learning_rate.", kGradientNormOf[] = "gradient_norm.",
                      kGradientFaultOf[] = "gradient_fault.", kScale[] = "scale", kSquares[] = "squares",
                      kSavedOf[] = "saved.", kGradientOf[] = "grad.";
} // namespace name

/// What compiled code calls, and what it exports beside its entries.
namespace symbol {
inline constexpr char kSgemm[] = "peer_rt_sgemm", kSgemmBf16[] = "peer_rt_sgemm_bf16", kMatmul[] = "peer_rt_matmul",
                      kMark[] = "peer_rt_mark", kTiles[] = "peer_rt_tiles";
inline constexpr char kCubin[] = "peer_cubin", kCubinSize[] = "peer_cubin_size";
} // namespace symbol

} // namespace peer::format
