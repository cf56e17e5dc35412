#include "core/Threads.h"

#include "TestSupport.h"

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
