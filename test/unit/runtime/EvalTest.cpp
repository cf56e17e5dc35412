// Evaluation: the mean over all tokens, whatever the batch, and the usage it leaves.

#include "FakeLanguageModel.h"

#include "lm/Eval.h"

using namespace peer::runtime;

namespace {

class EvalTest : public testing::Test {
protected:
  void SetUp() override {
    Result<std::unique_ptr<Session>> opened = Session::open(fakeLanguageModel());
    ASSERT_OK(opened);
    session = std::move(opened).value();
    ASSERT_OK(session->initParameters(3));
    Result<LanguageEntry> found = findLanguageEntry(session->manifest(), EntryKind::Loss, session->path());
    ASSERT_OK(found);
    model = *found;
    std::string words = sampleText(16 * 11 + 5);
    text.assign(words.begin(), words.end());
  }

  EvalRecord evaluate(EvalOptions options) {
    Result<EvalRecord> record = evaluateText(*session, model, text, options);
    EXPECT_OK(record);
    return record.ok() ? *record : EvalRecord{};
  }

  std::unique_ptr<Session> session;
  LanguageEntry model;
  Text text;
};

TEST_F(EvalTest, DoesNotDependOnTheBatch) {
  EvalRecord one = evaluate({1, 0, {}}), four = evaluate({4, 0, {}}), all = evaluate({100, 0, {}});
  EXPECT_EQ(one.tokens, 176); // 11 contexts; 5 bytes are left over
  EXPECT_EQ(four.tokens, 176);
  EXPECT_NEAR(one.loss, four.loss, 1e-6);
  EXPECT_NEAR(one.loss, all.loss, 1e-6);
  ASSERT_EQ(four.layers.size(), 1u);
  EXPECT_EQ(four.layers[0].metrics.unevenness, one.layers[0].metrics.unevenness); // cleared in between
  double mass = 0;
  for (float m : session->usage().at("experts").as<float>())
    mass += m;
  EXPECT_EQ(mass, 176);
}

TEST_F(EvalTest, TakesContextsFromTheWholeText) {
  EXPECT_EQ(evaluate({4, 3, {}}).tokens, 48);
  EXPECT_EQ(evaluate({4, 50, {}}).tokens, 176);
  // Two contexts are numbers 0 and 5; a different second half changes the loss.
  double before = evaluate({4, 2, {}}).loss;
  std::fill(text.begin() + 16 * 5, text.end(), 'q');
  EXPECT_NE(evaluate({4, 2, {}}).loss, before);
}

TEST_F(EvalTest, CanBeAbandoned) {
  EXPECT_EQ(evaluate({1, 0, [](int64_t done, int64_t) { return done < 5; }}).tokens, 0);
}

TEST_F(EvalTest, RefusesAnEntryThatIsNoLanguageModels) {
  Manifest manifest = session->manifest();
  std::erase_if(manifest.entries, [](const Entry &entry) { return entry.kind == EntryKind::Train; });
  EXPECT_EQ(findLanguageEntry(manifest, EntryKind::Train, "m.peer").message(),
            "m.peer has no train entry: expected a language model compiled with one");
  manifest.entries[0].arguments[0].name = "x";
  EXPECT_EQ(findLanguageEntry(manifest, EntryKind::Loss, "m.peer").message(),
            "the loss entry of m.peer takes 'x', i32 [T]: expected a language model, which takes 'tokens' and "
            "'targets', i32 [T]");
}

} // namespace
