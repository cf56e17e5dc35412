// OpenBLAS that is older than a CPU, or whom a variable of the environment holds back, multiplies several times slower than it could.

#include "Blas.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace peer::runtime {
namespace {

BlasVectors vectorsOfThisCpu() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return BlasVectors::Avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return BlasVectors::Avx2;
#endif
  return BlasVectors::Unknown;
}

/// OpenBLAS's name for the best ones that every version since 2018 has.
const char *kernelsOf(BlasVectors cpu) { return cpu == BlasVectors::Avx512 ? "SkylakeX" : "Haswell"; }

} // namespace

// Of names that are not here nothing is said.
BlasVectors vectorsOf(std::string_view core) {
  static const std::vector<std::pair<BlasVectors, std::vector<std::string_view>>> kKnown = {
      {BlasVectors::Sse,
       {"Prescott", "Core2", "Penryn", "Dunnington", "Nehalem", "Atom", "Nano", "Opteron", "Opteron(SSE3)", "Barcelona",
        "Bobcat", "Athlon", "Generic"}},
      {BlasVectors::Avx, {"Sandybridge", "Bulldozer", "Piledriver", "Steamroller", "Excavator"}},
      {BlasVectors::Avx2, {"Haswell", "Zen"}},
      {BlasVectors::Avx512, {"SkylakeX", "Cooperlake", "SapphireRapids"}}};
  auto sameName = [&](std::string_view name) {
    return std::ranges::equal(name, core, [](char a, char b) { return std::tolower(a) == std::tolower(b); });
  };
  for (const auto &[vectors, names] : kKnown)
    if (std::ranges::any_of(names, sameName))
      return vectors;
  return BlasVectors::Unknown;
}

const char *widerKernels(std::string_view core) {
  BlasVectors used = vectorsOf(core), cpu = vectorsOfThisCpu();
  return used != BlasVectors::Unknown && used < cpu ? kernelsOf(cpu) : nullptr;
}

std::string blasAdvice(std::string_view core, BlasVectors cpu, const char *coreType, const char *l2Size) {
  BlasVectors used = vectorsOf(core);
  if (used != BlasVectors::Unknown && used < cpu) {
    const char *best = kernelsOf(cpu);
    if (coreType)
      return concat("OPENBLAS_CORETYPE=", coreType, " holds matrix products to OpenBLAS's kernels for ", core,
                    ", this CPU has wider vectors: unset it, or set it to ", best);
    return concat("OpenBLAS is older than this CPU and takes its kernels for ", core,
                  ", so that products of a matrix by a vector are slow: OPENBLAS_CORETYPE=", best,
                  " gives faster ones");
  }
  if (l2Size && !core.empty())
    return concat("OPENBLAS_L2_SIZE=", l2Size,
                  " sets the sizes of OpenBLAS's blocks, which may make matrix products slow: unset it");
  return {};
}

std::string blasAdvice() {
  return blasAdvice(blasCore(), vectorsOfThisCpu(), std::getenv("OPENBLAS_CORETYPE"), std::getenv("OPENBLAS_L2_SIZE"));
}

} // namespace peer::runtime
