// Which of the CPU features an artifact was compiled for this machine has.
#include "CpuFeatures.h"
#include "Artifact.h"

#include <algorithm>
#include <iterator>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace peer::runtime {

namespace {
struct Feature {
  std::string_view name; // LLVM's
  bool (*present)();
};

#if defined(__x86_64__)
bool hasInvpcid() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 10 & 1);
}
bool always() { return true; }

// __builtin_cpu_supports takes literals only, hence one function per name.
#define PEER_FEATURE(name) {name, [] { return __builtin_cpu_supports(name) != 0; }}
constexpr Feature kFeatures[] = {
    PEER_FEATURE("adx"),
    PEER_FEATURE("aes"),
    PEER_FEATURE("amx-avx512"),
    PEER_FEATURE("amx-bf16"),
    PEER_FEATURE("amx-complex"),
    PEER_FEATURE("amx-fp16"),
    PEER_FEATURE("amx-fp8"),
    PEER_FEATURE("amx-int8"),
    PEER_FEATURE("amx-movrs"),
    PEER_FEATURE("amx-tf32"),
    PEER_FEATURE("amx-tile"),
    PEER_FEATURE("apxf"),
    PEER_FEATURE("avx"),
    PEER_FEATURE("avx10.1"),
    PEER_FEATURE("avx10.2"),
    PEER_FEATURE("avx2"),
    PEER_FEATURE("avx512bf16"),
    PEER_FEATURE("avx512bitalg"),
    PEER_FEATURE("avx512bw"),
    PEER_FEATURE("avx512cd"),
    PEER_FEATURE("avx512dq"),
    PEER_FEATURE("avx512f"),
    PEER_FEATURE("avx512fp16"),
    PEER_FEATURE("avx512ifma"),
    PEER_FEATURE("avx512vbmi"),
    PEER_FEATURE("avx512vbmi2"),
    PEER_FEATURE("avx512vl"),
    PEER_FEATURE("avx512vnni"),
    PEER_FEATURE("avx512vp2intersect"),
    PEER_FEATURE("avx512vpopcntdq"),
    PEER_FEATURE("avxifma"),
    PEER_FEATURE("avxneconvert"),
    PEER_FEATURE("avxvnni"),
    PEER_FEATURE("avxvnniint16"),
    PEER_FEATURE("avxvnniint8"),
    PEER_FEATURE("bmi"),
    PEER_FEATURE("bmi2"),
    PEER_FEATURE("cldemote"),
    PEER_FEATURE("clflushopt"),
    PEER_FEATURE("clwb"),
    PEER_FEATURE("clzero"),
    PEER_FEATURE("cmpccxadd"),
    PEER_FEATURE("cx16"),
    PEER_FEATURE("enqcmd"),
    PEER_FEATURE("f16c"),
    PEER_FEATURE("fma"),
    PEER_FEATURE("fma4"),
    PEER_FEATURE("fsgsbase"),
    PEER_FEATURE("gfni"),
    PEER_FEATURE("hreset"),
    PEER_FEATURE("kl"),
    PEER_FEATURE("lwp"),
    PEER_FEATURE("lzcnt"),
    PEER_FEATURE("movbe"),
    PEER_FEATURE("movdir64b"),
    PEER_FEATURE("movdiri"),
    PEER_FEATURE("movrs"),
    PEER_FEATURE("mwaitx"),
    PEER_FEATURE("pclmul"),
    PEER_FEATURE("pconfig"),
    PEER_FEATURE("pku"),
    PEER_FEATURE("popcnt"),
    PEER_FEATURE("prefetchi"),
    PEER_FEATURE("prfchw"),
    PEER_FEATURE("ptwrite"),
    PEER_FEATURE("raoint"),
    PEER_FEATURE("rdpid"),
    PEER_FEATURE("rdrnd"),
    PEER_FEATURE("rdseed"),
    PEER_FEATURE("rtm"),
    PEER_FEATURE("sahf"),
    PEER_FEATURE("serialize"),
    PEER_FEATURE("sgx"),
    PEER_FEATURE("sha"),
    PEER_FEATURE("sha512"),
    PEER_FEATURE("shstk"),
    PEER_FEATURE("sm3"),
    PEER_FEATURE("sm4"),
    PEER_FEATURE("sse3"),
    PEER_FEATURE("sse4.1"),
    PEER_FEATURE("sse4.2"),
    PEER_FEATURE("sse4a"),
    PEER_FEATURE("ssse3"),
    PEER_FEATURE("tbm"),
    PEER_FEATURE("tsxldtrk"),
    PEER_FEATURE("uintr"),
    PEER_FEATURE("usermsr"),
    PEER_FEATURE("vaes"),
    PEER_FEATURE("vpclmulqdq"),
    PEER_FEATURE("waitpkg"),
    PEER_FEATURE("wbnoinvd"),
    PEER_FEATURE("widekl"),
    PEER_FEATURE("xop"),
    PEER_FEATURE("xsave"),
    PEER_FEATURE("xsavec"),
    PEER_FEATURE("xsaveopt"),
    PEER_FEATURE("xsaves"),
    // Part of every x86-64.
    {"64bit", always},
    {"cmov", always},
    {"cx8", always},
    {"fxsr", always},
    {"mmx", always},
    {"sse", always},
    {"sse2", always},
    {"x87", always},
    // LLVM names without a query of their own.
    {"crc32", [] { return __builtin_cpu_supports("sse4.2") != 0; }},
    {"evex512", [] { return __builtin_cpu_supports("avx512f") != 0; }},
    {"invpcid", hasInvpcid},
};
#undef PEER_FEATURE
#else
constexpr std::array<Feature, 0> kFeatures{};
#endif
} // namespace

std::vector<std::string> missingCpuFeatures(const std::vector<std::string> &needed) {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  std::vector<std::string> missing;
  for (const std::string &name : needed) {
    auto known = std::find_if(std::begin(kFeatures), std::end(kFeatures),
                              [&](const Feature &feature) { return feature.name == name; });
    if (known == std::end(kFeatures) || !known->present())
      missing.push_back(name);
  }
  return missing;
}

} // namespace peer::runtime
