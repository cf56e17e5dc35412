// A simulator with the steps that every test takes.
#pragma once

#include "sim/Simulator.h"

#include <functional>
#include <gtest/gtest.h>

namespace peer::runtime::sim::test {

/// Loads one PTX text and runs its kernels. A step that fails fails the test.
class Machine {
public:
  explicit Machine(const std::string &ptx);

  template <typename T>
  uint64_t upload(const std::vector<T> &values) {
    uint64_t address = reserve(values.size() * sizeof(T));
    EXPECT_TRUE(simulator.memory().copyIn(address, values.data(), values.size() * sizeof(T)).ok());
    return address;
  }
  /// Memory that nobody has written.
  uint64_t reserve(uint64_t bytes);
  template <typename T>
  std::vector<T> download(uint64_t address, size_t count) {
    std::vector<T> values(count);
    Status status = simulator.memory().copyOut(values.data(), address, count * sizeof(T));
    EXPECT_TRUE(status.ok()) << status.message();
    return values;
  }

  /// Runs the module's first kernel.
  template <typename... Args>
  LaunchResult run(Dim3 grid, Dim3 block, const Args &...args) {
    Parameters parameters;
    (parameters.add(args), ...);
    return launch(grid, block, parameters);
  }
  LaunchResult launch(Dim3 grid, Dim3 block, const Parameters &parameters);

  Simulator simulator;
  const LoadedModule *module = nullptr;
  uint32_t sharedBytes = 0;
  LaunchOptions options;
};

/// Expects that there are no faults, or prints them.
void expectClean(const LaunchResult &result);
/// Expects one kind of fault only, and that it is on a line that contains `where`.
void expectFault(const LaunchResult &result, FaultKind kind, const std::string &ptx, const std::string &where);

/// A module with one kernel `k`: its parameters (u64 pointers %p0, %p1, ... in registers) and body; %t is the thread's number in the
/// block, %r, %f, %x, %q, %h are registers of 32 bits, f32, 64 bits, predicates and 16 bits.
std::string kernel(unsigned pointers, const std::string &body, const std::string &declarations = "");

/// One instruction over many lanes: %d is its result, %a, %b, %c its sources.
struct Case {
  std::string instruction;
  /// Widths in bytes: of the result (0: a predicate), and of each source.
  unsigned result;
  std::vector<unsigned> sources;
  std::function<uint64_t(uint64_t, uint64_t, uint64_t)> reference;
};
/// Runs the case on interesting and random values and compares bit for bit.
void check(const Case &one);
/// As check, with the sources' values given: one vector per lane.
void checkOn(const Case &one, const std::vector<std::array<uint64_t, 3>> &values);

uint64_t bitsOf(float v);
uint64_t bitsOf(double v);
float floatOf(uint64_t bits);
double doubleOf(uint64_t bits);

} // namespace peer::runtime::sim::test
