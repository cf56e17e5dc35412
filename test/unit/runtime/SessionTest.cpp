#include "session/Session.h"

#include "TestSupport.h"
#include "core/Allocator.h"

using namespace peer::runtime;

TEST(Session, CallsOnNamedTensors) {
  TemporaryFolder folder;
  auto session = openSession(folder);
  ASSERT_OK(session->initParameters(1));
  TensorMap inputs;
  inputs.emplace("x", floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}));
  for (int call = 1; call <= 3; ++call) {
    Result<TensorMap> results = session->call("scale", inputs, {{"learning_rate.default", 10}});
    ASSERT_OK(results);
    const Tensor &y = results->at("y");
    EXPECT_EQ(y.shape(), (Shape{2, 4}));
    EXPECT_EQ(y.as<float>()[7], 160.0f);
    EXPECT_EQ(session->states().at("calls").as<float>()[0], static_cast<float>(call));
    EXPECT_EQ(session->usage().at("factor").as<float>()[0], static_cast<float>(2 * call));
  }
  session->clearStates();
  session->clearUsage();
  EXPECT_EQ(session->states().at("calls").as<float>()[0], 0.0f);
  EXPECT_EQ(session->usage().at("factor").as<float>()[0], 0.0f);
}

TEST(Session, NoTokensAtAll) {
  TemporaryFolder folder;
  auto session = openSession(folder);
  ASSERT_OK(session->initParameters(1));
  TensorMap inputs;
  inputs.emplace("x", floats({0, 4}, {}));
  Result<TensorMap> results = session->call("scale", inputs, {{"learning_rate.default", 1}});
  ASSERT_OK(results);
  EXPECT_EQ(results->at("y").shape(), (Shape{0, 4}));
}

TEST(Session, ResultsMayShareABufferAndAreFreedOnce) {
  TemporaryFolder folder;
  auto session = openSession(folder);
  uint64_t before = allocatorUsage().current;
  {
    TensorMap inputs;
    inputs.emplace("tokens", integers({1, 2, 255}));
    Result<TensorMap> results = session->call("sum", inputs, {{"position", 7}});
    ASSERT_OK(results);
    EXPECT_EQ(results->at("sum").as<int64_t>()[0], 265);
    EXPECT_EQ(results->at("again").data(), results->at("sum").data());
    results->erase("sum");
    EXPECT_EQ(results->at("again").as<int64_t>()[0], 265);
  }
  EXPECT_EQ(allocatorUsage().current, before);
}

TEST(Session, OutOfMemoryInACallIsAnError) {
  TemporaryFolder folder;
  auto session = openSession(folder);
  uint64_t before = allocatorUsage().current;
  for (int i = 0; i < 2; ++i) {
    Result<TensorMap> results = session->call("greedy", {});
    ASSERT_FALSE(results.ok());
    EXPECT_NE(results.message().find("out of memory: the compiled code needs 1.1 PB more"), std::string::npos)
        << results.message();
    EXPECT_EQ(allocatorUsage().current, before);
  }
}

TEST(Session, AResultOfAnotherShapeIsAnError) {
  TemporaryFolder folder;
  auto session = openSession(folder);
  EXPECT_EQ(errorOf(session->call("liar", {})),
            "entry \"liar\": result \"y\" has shape [3], and the manifest says [2]");
}

TEST(Session, DefaultScalars) {
  TemporaryFolder folder;
  auto session = openSession(folder);
  EXPECT_EQ(session->defaultScalars(*session->manifest().findEntry("scale")).at("learning_rate.default"), 0.5);
  EXPECT_EQ(session->defaultScalars(*session->manifest().findEntry("sum")).at("position"), 0);
}

TEST(Session, ParametersRoundTrip) {
  TemporaryFolder folder;
  auto session = openSession(folder);
  ASSERT_OK(session->initParameters(1));
  session->parameters().at("factor").as<float>()[2] = 5;
  ASSERT_OK(session->saveParameters(folder / "w"));
  auto other = openSession(folder);
  ASSERT_OK(other->loadParameters(folder / "w"));
  EXPECT_EQ(other->parameters().at("factor").as<float>()[2], 5.0f);
}

TEST(Session, WrongWeightsAreRefusedWhole) {
  TemporaryFolder folder;
  auto session = openSession(folder);
  std::string model = folder / "MODEL.peer", file = folder / "w";
  auto load = [&](const char *name, Tensor tensor, const char *second = nullptr) {
    TensorMap tensors;
    tensors.emplace(name, std::move(tensor));
    if (second)
      tensors.emplace(second, floats({1}, {1}));
    EXPECT_OK(writeSafetensors(file, tensors));
    return errorOf(session->loadParameters(file));
  };
  EXPECT_EQ(load("other", floats({4}, {1, 2, 3, 4})),
            concat(file, " lacks the parameter \"factor\" (f32 [4]) of ", model,
                   "; it holds the tensor \"other\", which is no parameter of ", model));
  EXPECT_EQ(load("factor", floats({3}, {1, 2, 3})),
            concat(file, ": tensor \"factor\" is f32 [3], expected f32 [4] by ", model));
  EXPECT_EQ(load("factor", integers({1, 2, 3, 4})),
            concat(file, ": tensor \"factor\" is i32 [4], expected f32 [4] by ", model));
  EXPECT_EQ(load("factor", floats({4}, {1, 2, 3, 4}), "extra"),
            concat(file, " holds the tensor \"extra\", which is no parameter of ", model));
  EXPECT_TRUE(session->parameters().empty());
  Result<SafetensorsFile> opened = SafetensorsFile::open(file);
  EXPECT_OK(session->loadParameters(*opened, "extra"));
}

TEST(Session, TablesThatDoNotFit) {
  TemporaryFolder folder;
  nlohmann::json manifest = testManifest();
  manifest["parameters"][0]["shape"] = {int64_t{1} << 44};
  manifest["entries"][0]["arguments"][1]["shape"] = {int64_t{1} << 44};
  auto session = Session::open(writeArtifact(folder, manifest)).value();
  EXPECT_NE(errorOf(session->initParameters(1)).find("MODEL.peer needs 70.4 TB for parameters, "), std::string::npos);
  EXPECT_NE(errorOf(session->prepare(*session->manifest().findEntry("scale")))
                .find("MODEL.peer needs 70.4 TB for parameters and state, "),
            std::string::npos);
  EXPECT_TRUE(session->states().empty());
}
