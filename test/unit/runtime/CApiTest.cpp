#include "session/peer_runtime.h"

#include "TestSupport.h"

using namespace peer::runtime;

TEST(CApi, OpenCallClose) {
  TemporaryFolder folder;
  peer_artifact *artifact = nullptr;
  ASSERT_EQ(peer_set_threads(2), PEER_OK);
  ASSERT_EQ(peer_open(writeArtifact(folder).c_str(), &artifact), PEER_OK) << peer_last_error();
  ASSERT_EQ(peer_entry_count(artifact), 4u);
  EXPECT_STREQ(peer_entry_name(artifact, 0), "scale");
  EXPECT_EQ(peer_entry_name(artifact, 4), nullptr);
  ASSERT_EQ(peer_init_parameters(artifact, 1), PEER_OK);
  peer_tensor factor{};
  ASSERT_EQ(peer_parameter(artifact, "factor", &factor), PEER_OK);
  EXPECT_STREQ(factor.dtype, "f32");
  static_cast<float *>(factor.data)[1] = 3;
  float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  int64_t shape[2] = {2, 4};
  peer_tensor x{"f32", 2, shape, values, sizeof values};
  ASSERT_EQ(peer_set_input(artifact, "x", &x), PEER_OK);
  ASSERT_EQ(peer_call(artifact, "scale"), PEER_OK) << peer_last_error();
  peer_tensor y{};
  ASSERT_EQ(peer_output(artifact, "y", &y), PEER_OK);
  EXPECT_EQ(y.rank, 2u);
  EXPECT_EQ(y.shape[0], 2);
  EXPECT_EQ(static_cast<float *>(y.data)[5], 9.0f); // learning rate 0.5 by default
  ASSERT_EQ(peer_set_scalar(artifact, "learning_rate.default", 2), PEER_OK);
  ASSERT_EQ(peer_call(artifact, "scale"), PEER_OK);
  ASSERT_EQ(peer_output(artifact, "y", &y), PEER_OK);
  EXPECT_EQ(static_cast<float *>(y.data)[5], 36.0f);
  ASSERT_EQ(peer_save_parameters(artifact, (folder / "w").c_str()), PEER_OK);
  ASSERT_EQ(peer_load_parameters(artifact, (folder / "w").c_str()), PEER_OK);
  EXPECT_EQ(peer_clear_states(artifact), PEER_OK);
  EXPECT_EQ(peer_clear_usage(artifact), PEER_OK);
  peer_clear_inputs(artifact);
  EXPECT_EQ(peer_call(artifact, "scale"), PEER_ERROR);
  peer_close(artifact);
}

TEST(CApi, ErrorsAreSentences) {
  TemporaryFolder folder;
  peer_artifact *artifact = nullptr;
  EXPECT_EQ(peer_open("/nonexistent/M.peer", &artifact), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "cannot open /nonexistent/M.peer: No such file or directory");
  EXPECT_EQ(artifact, nullptr);
  EXPECT_EQ(peer_open(nullptr, &artifact), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "path is a null pointer");
  EXPECT_EQ(peer_set_threads(0), PEER_ERROR);
  EXPECT_EQ(peer_call(nullptr, "x"), PEER_ERROR);
  ASSERT_EQ(peer_open(writeArtifact(folder).c_str(), &artifact), PEER_OK);
  int64_t shape[1] = {3};
  float values[3] = {};
  peer_tensor x{"f32", 1, shape, values, 8}, odd{"f31", 1, shape, values, 12}, none{"f32", 1, shape, nullptr, 12};
  EXPECT_EQ(peer_set_input(artifact, "x", &x), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "input \"x\" is f32 [3], which takes 12 bytes, but 8 were given");
  EXPECT_EQ(peer_set_input(artifact, "x", &odd), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "input \"x\": \"f31\" is no known dtype");
  EXPECT_EQ(peer_set_input(artifact, "x", &none), PEER_ERROR);
  peer_tensor view{};
  EXPECT_EQ(peer_output(artifact, "y", &view), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "there is no result \"y\"");
  EXPECT_EQ(peer_parameter(artifact, "factor", &view), PEER_ERROR);
  peer_close(artifact);
  peer_close(nullptr);
  EXPECT_EQ(peer_entry_count(nullptr), 0u);
}
