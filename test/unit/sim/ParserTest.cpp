// What the parser accepts, and how it names what it does not.

#include "SimTestSupport.h"

namespace peer::runtime::sim::test {
namespace {
std::string errorOf(const std::string &ptx) {
  Simulator simulator;
  Result<const LoadedModule *> loaded = simulator.load(ptx);
  EXPECT_FALSE(loaded.ok()) << ptx;
  EXPECT_EQ(simulator.memory().used(), 0u);
  return loaded.message();
}

TEST(Parser, UnknownInstructionsAreNamedWithTheirLine) {
  EXPECT_EQ(errorOf(".version 8.6\n.target sm_90\n.visible .entry k()\n{\nfrobnicate.b32 1;\nret;\n}"),
            "PTX line 5: unknown instruction 'frobnicate.b32'");
  EXPECT_NE(errorOf(kernel(0, "add.wrong.s32 %r1, %r2, %r3;")).find("unknown instruction 'add.wrong.s32'"),
            std::string::npos);
  EXPECT_NE(errorOf(kernel(0, "wgmma.fence.sync.aligned;")).find("unknown instruction 'wgmma.fence.sync.aligned'"),
            std::string::npos);
  EXPECT_NE(errorOf(kernel(0, "cvt.s32.f32 %r1, %f1;")).find("unknown instruction"), std::string::npos);
}

TEST(Parser, ErrorsSayWhatIsWrong) {
  EXPECT_NE(errorOf(kernel(0, "bra NOWHERE;")).find("no label 'NOWHERE'"), std::string::npos);
  EXPECT_NE(errorOf(kernel(0, "add.s64 %x1, %r2, %x3;")).find("register '%r2' has the wrong size"), std::string::npos);
  EXPECT_NE(errorOf(kernel(0, "mov.u32 %r1, %nothing;")).find("'%nothing'"), std::string::npos);
  EXPECT_NE(errorOf(kernel(0, "add.s32 %r1, %r2;")).find("expected 3 operands, got 2"), std::string::npos);
  EXPECT_NE(errorOf(kernel(0, "A:\nA:")).find("label 'A' is defined twice"), std::string::npos);
  EXPECT_NE(errorOf(kernel(0, "{\n.param .b32 a;\ncall __nv_expf, (a);\n}"))
                .find("'__nv_expf', which is no function of this module"),
            std::string::npos);
  EXPECT_NE(errorOf(".bogus").find("unknown directive '.bogus'"), std::string::npos);
  EXPECT_NE(errorOf(".visible .entry k() { ret;").find("has no end"), std::string::npos);
  EXPECT_NE(errorOf("/* no end").find("comment without end"), std::string::npos);
  EXPECT_NE(errorOf(".extern .global .u32 g;\n" + kernel(0, "ld.global.u32 %r1, [g];")).find("defined in no module"),
            std::string::npos);
  std::string loop = ".func f()\n{\ncall f;\nret;\n}\n";
  EXPECT_NE(errorOf(kernel(0, "call f;", loop)).find("recursion"), std::string::npos);
}

TEST(Parser, TextsThatWantMoreThanThereIs) {
  std::string nested = "mov.b64 %x1, " + std::string(100000, '{');
  EXPECT_NE(errorOf(kernel(0, nested)).find("lists nest too deep"), std::string::npos);
  // Each function calls the next one twice: 2^40 bodies, were they all inlined.
  std::string functions, call = "call f0;\ncall f0;\n";
  for (int i = 39; i >= 0; --i) {
    std::string next = "call f" + std::to_string(i + 1) + ";\n";
    functions += ".func f" + std::to_string(i) + "()\n{\n" + (i < 39 ? next + next : "membar.gl;\n") + "ret;\n}\n";
  }
  EXPECT_NE(errorOf(kernel(0, call, functions)).find("more than 1048576 instructions"), std::string::npos);
  std::string registers = ".func g()\n{\n.reg .b64 %many<60000>;\nret;\n}\n", calls;
  for (int i = 0; i < 400; ++i)
    calls += "call g;\n";
  EXPECT_NE(errorOf(kernel(0, calls, registers)).find("too many registers"), std::string::npos);
  EXPECT_NE(errorOf(kernel(0, ".local .b8 l[600000];\nst.local.u32 [l], 1;")).find("local memory"), std::string::npos);
  EXPECT_NE(errorOf(kernel(0, "st.shared.u32 [s], 1;\nst.shared.u32 [t], 1;",
                           ".shared .b8 s[33554432];\n.shared .b8 t[33554432];\n"))
                .find("'t' is more shared memory than there is"),
            std::string::npos);
  EXPECT_NE(errorOf(".visible .entry k(.param .b8 a[40000]) { ret; }").find("more than 32764 bytes of parameters"),
            std::string::npos);
  Simulator simulator;
  simulator.memory().setLimit(1000);
  EXPECT_EQ(simulator.load(".global .b8 g[1001];").message(),
            "out of memory: 1001 bytes were asked for, 0 of 1000 are in use");
  EXPECT_TRUE(simulator.load(".global .b8 g[1000];").ok());
}

TEST(Parser, EveryPrefixOfATextIsAnErrorOrAModule) {
  std::string text = kernel(
      2,
      "{\n.reg .pred %z;\nsetp.lt.s32 %z|%q1, %t, -0x10;\n@!%z bra.uni E;\nld.global.v2.f32 {%f1, %f2}, [%p0+-8];\n"
      "E:\nfma.rn.f32 %f1, 0f3F800000, 0d3FF0000000000000, 1.5;\n}",
      ".global .align 4 .b8 g[4] = {1, 2, 3};\n");
  for (size_t length = 0; length <= text.size(); ++length) {
    Simulator simulator;
    (void)simulator.load(text.substr(0, length)).ok();
  }
}

TEST(Parser, ScopesHideNamesAndLabels) {
  Machine machine(kernel(1, "mov.u32 %r1, 1;\n{\n.reg .b32 %r1;\nmov.u32 %r1, 5;\nbra L;\nL:\n}\n{\nbra "
                            "L;\nL:\n}\nst.global.u32 [%p0], %r1;"));
  uint64_t out = machine.upload(std::vector<uint32_t>(1));
  expectClean(machine.run({}, {}, out));
  EXPECT_EQ(machine.download<uint32_t>(out, 1)[0], 1u);
}

TEST(Parser, KernelsParametersAndVariables) {
  Simulator simulator;
  auto loaded = simulator.load(
      ".version 8.0\n.target sm_80\n.address_size 64\n.const .align 8 .f64 pi = 0d400921FB54442D18;\n"
      ".global .align 8 .u64 table[2] = {generic(data)+4, data};\n.global .align 4 .u32 data[2] = {7, 8};\n"
      ".visible .entry one(.param .u8 a, .param .u64 .ptr .global .align 16 b, .param .align 4 .b8 c[12])\n"
      ".maxntid 128, 1, 1\n.minnctapersm 2\n{\n.loc 1 2 3\n.pragma \"nounroll\";\nret;\n}\n"
      ".entry two() .reqntid 32 { exit; }");
  EXPECT_FALSE(loaded.ok()) << "data is used before it is declared";
  loaded = simulator.load(
      ".version 8.0\n.target sm_80, texmode_independent\n.address_size 64\n.const .align 8 .f64 pi = "
      "0d400921FB54442D18;\n"
      ".global .align 4 .u32 data[2] = {7, 8};\n.global .align 8 .u64 table[2] = {generic(data)+4, data};\n"
      ".visible .entry one(.param .u8 a, .param .u64 .ptr .global .align 16 b, .param .align 4 .b8 c[12])\n"
      ".maxntid 128, 1, 1\n.minnctapersm 2\n{\n.loc 1 2 3\n.pragma \"nounroll\";\nret;\n}\n"
      ".entry two() .reqntid 32 { exit; }");
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  const LoadedModule &module = **loaded;
  EXPECT_EQ(module.kernels(), (std::vector<std::string>{"one", "two"}));
  auto parameters = *module.parameters("one");
  ASSERT_EQ(parameters.size(), 3u);
  EXPECT_EQ(parameters[1].offset, 8u);
  EXPECT_EQ(parameters[2].offset, 16u);
  EXPECT_EQ(*module.parameterBytes("one"), 28u);
  uint64_t table[2];
  ASSERT_TRUE(simulator.memory().copyOut(table, module.variable("table"), 16).ok());
  EXPECT_EQ(table[0], module.variable("data") + 4);
  EXPECT_EQ(table[1], module.variable("data"));
  std::vector<uint8_t> blob(28);
  EXPECT_TRUE(simulator.launch(module, "one", {1}, {128}, 0, blob).ok());
  EXPECT_NE(simulator.launch(module, "one", {1}, {129}, 0, blob).message().find("made for 128 threads"),
            std::string::npos);
  EXPECT_NE(simulator.launch(module, "one", {1}, {1}, 0, {}).message().find("takes 28 bytes of parameters, got 0"),
            std::string::npos);
  EXPECT_NE(simulator.launch(module, "two", {1}, {64}, 0, {}).message().find("requires blocks of 32 x 1 x 1"),
            std::string::npos);
  EXPECT_NE(simulator.launch(module, "three", {1}, {1}, 0, {}).message().find("no kernel 'three'"), std::string::npos);
  EXPECT_NE(simulator.launch(module, "one", {1}, {1}, 300000, blob).message().find("shared memory"), std::string::npos);
  simulator.unload(&module);
  EXPECT_EQ(simulator.memory().used(), 0u);
}
} // namespace
} // namespace peer::runtime::sim::test
