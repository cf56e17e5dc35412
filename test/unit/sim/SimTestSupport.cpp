#include "SimTestSupport.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

namespace peer::runtime::sim::test {

uint64_t bitsOf(float v) { return std::bit_cast<uint32_t>(v); }
uint64_t bitsOf(double v) { return std::bit_cast<uint64_t>(v); }
float floatOf(uint64_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); }
double doubleOf(uint64_t bits) { return std::bit_cast<double>(bits); }

namespace {
/// Texts that tests load are what fuzzing begins with: kept in the folder that PEER_TEST_KEEP_PTX names.
void keep(const std::string &ptx) {
  static unsigned count = 0;
  if (const char *folder = std::getenv("PEER_TEST_KEEP_PTX"))
    std::ofstream(std::string(folder) + "/" + std::to_string(count++)) << ptx;
}
} // namespace

Machine::Machine(const std::string &ptx) {
  keep(ptx);
  Result<const LoadedModule *> loaded = simulator.load(ptx);
  EXPECT_TRUE(loaded.ok()) << loaded.message() << "\n" << ptx;
  if (loaded.ok())
    module = *loaded;
}

uint64_t Machine::reserve(uint64_t bytes) {
  Result<uint64_t> address = simulator.memory().allocate(bytes, "buffer");
  EXPECT_TRUE(address.ok()) << address.message();
  return address.ok() ? *address : 0;
}

LaunchResult Machine::launch(Dim3 grid, Dim3 block, const Parameters &parameters) {
  if (!module)
    return {};
  Result<LaunchResult> result =
      simulator.launch(*module, module->kernels().front(), grid, block, sharedBytes, parameters.span(), options);
  EXPECT_TRUE(result.ok()) << result.message();
  return result.ok() ? *result : LaunchResult{};
}

void expectClean(const LaunchResult &result) {
  for (const Fault &fault : result.faults)
    ADD_FAILURE() << fault.text();
}

void expectFault(const LaunchResult &result, FaultKind kind, const std::string &ptx, const std::string &where) {
  EXPECT_FALSE(result.faults.empty()) << "no fault was found";
  std::vector<std::string> lines;
  std::istringstream stream(ptx);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  for (const Fault &fault : result.faults) {
    EXPECT_EQ(fault.kind, kind) << fault.text();
    ASSERT_LE(fault.line, lines.size());
    EXPECT_NE(lines[fault.line - 1].find(where), std::string::npos) << fault.text() << "\n" << lines[fault.line - 1];
    EXPECT_EQ(fault.kernel, "k");
  }
}

std::string kernel(unsigned pointers, const std::string &body, const std::string &declarations) {
  std::ostringstream text;
  text << ".version 8.6\n.target sm_90\n.address_size 64\n" << declarations << "\n.visible .entry k(";
  for (unsigned i = 0; i < pointers; ++i)
    text << (i ? ", " : "") << ".param .u64 k_param_" << i;
  text << ")\n{\n.reg .b32 %r<40>, %t;\n.reg .f32 %f<40>;\n.reg .b64 %x<40>;\n.reg .b64 %p<" << pointers + 1
       << ">;\n.reg .pred %q<10>;\n.reg .b16 %h<20>;\n.reg .f64 %fd<10>;\nmov.u32 %t, %tid.x;\n";
  for (unsigned i = 0; i < pointers; ++i)
    text << "ld.param.u64 %p" << i << ", [k_param_" << i << "];\ncvta.to.global.u64 %p" << i << ", %p" << i << ";\n";
  text << body << "\nret;\n}\n";
  return text.str();
}

namespace {
std::vector<uint64_t> interesting(unsigned width) {
  switch (width) {
  case 2:
    return {0, 1, 2, 0x7fff, 0x8000, 0xffff, 0x3c00, 0xbc00, 0x7bff, 0x7c00, 0xfc00, 0x0001, 0x3f80, 0x7f7f, 0x0400};
  case 4:
    return {0,
            1,
            2,
            31,
            32,
            33,
            255,
            0x7fffffff,
            0x80000000,
            0xffffffff,
            bitsOf(1.0f),
            bitsOf(-1.5f),
            bitsOf(3e38f),
            bitsOf(1e-40f),
            bitsOf(-0.0f),
            bitsOf(0.1f)};
  case 8:
    return {0,
            1,
            63,
            64,
            ~uint64_t{0},
            uint64_t{1} << 63,
            (uint64_t{1} << 63) - 1,
            bitsOf(1.0),
            bitsOf(-2.5),
            bitsOf(1e300),
            bitsOf(0.1)};
  default:
    return {0};
  }
}
} // namespace

void checkOn(const Case &one, const std::vector<std::array<uint64_t, 3>> &values) {
  std::ostringstream body;
  size_t sources = one.sources.size();
  body << ".reg .b" << (one.result ? 8 * one.result : 32) << " %d;\n.reg .pred %pd;\n";
  constexpr const char *names[] = {"%a", "%b", "%c"};
  body << "mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmad.lo.u32 %r3, %r1, %r2, %t;\n"
       << "mul.wide.u32 %x1, %r3, 24;\nadd.u64 %x1, %x1, %p0;\nmul.wide.u32 %x2, %r3, 8;\nadd.u64 %x2, %x2, %p1;\n";
  for (size_t i = 0; i < sources; ++i)
    body << ".reg .b" << 8 * one.sources[i] << " " << names[i] << ";\nld.global.b" << 8 * one.sources[i] << " "
         << names[i] << ", [%x1+" << 8 * i << "];\n";
  body << one.instruction << "\n";
  if (one.result == 0)
    body << "selp.b32 %d, 1, 0, %pd;\n";
  body << "st.global.b" << (one.result ? 8 * one.result : 32) << " [%x2], %d;\n";
  Machine machine(kernel(2, body.str()));
  constexpr uint32_t kThreads = 64;
  auto padded = values;
  padded.resize((values.size() + kThreads - 1) / kThreads * kThreads);
  std::vector<uint64_t> flat;
  for (const auto &row : padded)
    flat.insert(flat.end(), row.begin(), row.end());
  uint64_t in = machine.upload(flat), out = machine.upload(std::vector<uint64_t>(padded.size()));
  expectClean(machine.run({static_cast<uint32_t>(padded.size()) / kThreads}, {kThreads}, in, out));
  std::vector<uint64_t> results = machine.download<uint64_t>(out, padded.size());
  unsigned wrong = 0;
  uint64_t mask = one.result == 0 ? 1 : one.result == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * one.result) - 1;
  for (size_t i = 0; i < values.size() && wrong < 3; ++i) {
    uint64_t expected = one.reference(values[i][0], values[i][1], values[i][2]) & mask;
    // Any NaN is as good as another.
    bool nan32 = one.result == 4 && std::isnan(floatOf(expected)) && std::isnan(floatOf(results[i]));
    bool nan64 = one.result == 8 && std::isnan(doubleOf(expected)) && std::isnan(doubleOf(results[i]));
    if (results[i] == expected || nan32 || nan64)
      continue;
    ++wrong;
    ADD_FAILURE() << one.instruction << " of 0x" << std::hex << values[i][0] << ", 0x" << values[i][1] << ", 0x"
                  << values[i][2] << " gives 0x" << results[i] << ", expected 0x" << expected;
  }
}

void check(const Case &one) {
  std::mt19937_64 random(7);
  std::vector<std::array<uint64_t, 3>> values;
  std::vector<std::vector<uint64_t>> pools;
  for (unsigned i = 0; i < 3; ++i)
    pools.push_back(interesting(i < one.sources.size() ? one.sources[i] : 0));
  auto cut = [&](uint64_t v, unsigned i) {
    unsigned width = i < one.sources.size() ? one.sources[i] : 0;
    return width == 0 ? 0 : width == 8 ? v : v & ((uint64_t{1} << 8 * width) - 1);
  };
  for (uint64_t a : pools[0])
    for (uint64_t b : pools[1])
      values.push_back({a, b, pools[2][random() % pools[2].size()]});
  for (unsigned i = 0; i < 400; ++i)
    values.push_back(
        {cut(random(), 0), cut(random() >> (i % 8 == 0 ? 58 : 0), 1), cut(random() >> (i % 4 == 0 ? 58 : 0), 2)});
  checkOn(one, values);
}

} // namespace peer::runtime::sim::test
