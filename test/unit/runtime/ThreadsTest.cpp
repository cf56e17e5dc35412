#include "core/Threads.h"

#include "TestSupport.h"
#include "core/Pinning.h"

#include <cstdlib>

using namespace peer::runtime;

TEST(Threads, ValuesOfTheVariable) {
  for (auto [value, count] : {std::pair{"1", 1},
                              {"8", 8},
                              {" 8 ", 8},
                              {"8,2", 8},
                              {"8 , 2 , 1", 8},
                              {"4096", 4096},
                              {"", 0},
                              {" \t", 0},
                              {"007", 7}}) {
    Result<int> parsed = parseThreadCount(value);
    ASSERT_OK(parsed);
    EXPECT_EQ(*parsed, count) << value;
  }
  for (const char *value : {"0", "-1", "+2", "abc", "3x", "2.5", "1e9", "4097", "1000000000", "99999999999999999999",
                            "2,", ",2", "2,,4", "2,0", "2 4", "0x10"})
    EXPECT_EQ(errorOf(parseThreadCount(value)),
              concat("OMP_NUM_THREADS is \"", value, "\", expected a whole number of threads from 1 to 4096"));
}

TEST(Threads, PinnedWhereThereIsNothingToChoose) {
  EXPECT_TRUE(pinsThreads(PinChoice::None, true, 4, 4, {}));
  EXPECT_TRUE(pinsThreads(PinChoice::None, true, 4, 4, 4.0));
  EXPECT_TRUE(pinsThreads(PinChoice::Yes, false, 4, 4, {}));
  // Others may want the same processors, or there is not the time for all.
  EXPECT_FALSE(pinsThreads(PinChoice::None, true, 2, 4, {}));
  EXPECT_FALSE(pinsThreads(PinChoice::None, true, 2, 4, 2.0));
  EXPECT_FALSE(pinsThreads(PinChoice::Yes, true, 4, 4, 3.5));
  EXPECT_FALSE(pinsThreads(PinChoice::Yes, true, 8, 4, {}));
  EXPECT_FALSE(pinsThreads(PinChoice::Yes, true, 1, 1, {}));
  // The process is another's, or somebody has said where threads run.
  EXPECT_FALSE(pinsThreads(PinChoice::None, false, 4, 4, {}));
  EXPECT_FALSE(pinsThreads(PinChoice::No, true, 4, 4, {}));
  EXPECT_FALSE(pinsThreads(PinChoice::OpenMP, true, 4, 4, {}));
}

TEST(Threads, WhatTheEnvironmentSaysOfPlaces) {
  auto choice = [](const char *name, const char *value) {
    setenv(name, value, 1);
    PinChoice read = pinChoice();
    unsetenv(name);
    return read;
  };
  EXPECT_EQ(pinChoice(), PinChoice::None);
  for (const char *name : {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"})
    EXPECT_EQ(choice(name, "true"), PinChoice::OpenMP) << name;
  EXPECT_EQ(choice("PEER_PIN", "0"), PinChoice::No);
  EXPECT_EQ(choice("PEER_PIN", "1"), PinChoice::Yes);
  EXPECT_EQ(choice("PEER_PIN", ""), PinChoice::None);
}
