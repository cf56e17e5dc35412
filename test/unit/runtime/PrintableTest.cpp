#include "core/Printable.h"

#include <gtest/gtest.h>

using namespace peer::runtime;

namespace {
std::string shown(std::string_view bytes) {
  PrintableText text;
  std::string result;
  for (char byte : bytes)
    result += text.feed(byte);
  return result + text.finish();
}
} // namespace

TEST(Printable, TextPasses) {
  EXPECT_EQ(shown("a line\n\tand \xc3\xa9, \xe4\xb8\xad, \xf0\x9f\x98\x80 \\"),
            "a line\n\tand \xc3\xa9, \xe4\xb8\xad, \xf0\x9f\x98\x80 \\");
}

TEST(Printable, ControlsAreShown) {
  EXPECT_EQ(shown(std::string_view("\x1b]0;title\x07\r\b\0\x7f", 14)), "\\x1b]0;title\\x07\\x0d\\x08\\x00\\x7f");
  EXPECT_EQ(shown("\xc2\x9b"
                  "31m"),
            "\\xc2\\x9b31m");
  EXPECT_EQ(shown("a\xe2\x80\xae"
                  "b"),
            "a\\xe2\\x80\\xae"
            "b");
}

TEST(Printable, WhatIsNoUtf8IsShown) {
  EXPECT_EQ(shown("\xff\x80z"), "\\xff\\x80z");
  EXPECT_EQ(shown("\xc0\xaf\xe0\x80\x80"), "\\xc0\\xaf\\xe0\\x80\\x80"); // longer than needed
  EXPECT_EQ(shown("\xed\xa0\x80"), "\\xed\\xa0\\x80");                   // half a surrogate pair
  EXPECT_EQ(shown("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");          // beyond Unicode
  EXPECT_EQ(shown("\xe4\xb8x"), "\\xe4\\xb8x");
  EXPECT_EQ(shown("\xe4\xc3\xa9"), "\\xe4\xc3\xa9");
  EXPECT_EQ(shown("end\xf0\x9f\x98"), "end\\xf0\\x9f\\x98");
}

TEST(Printable, ACharacterComesWithItsLastByte) {
  PrintableText text;
  EXPECT_EQ(text.feed('\xe4'), "");
  EXPECT_EQ(text.feed('\xb8'), "");
  EXPECT_EQ(text.feed('\xad'), "\xe4\xb8\xad");
}

TEST(Printable, OneLine) { EXPECT_EQ(printableLine("a\tb\nc\x1b\xe4\n"), "a\\tb\\nc\\x1b\\xe4\\n"); }
