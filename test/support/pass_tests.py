"""lit's format of shell tests, those of passes alone: a class in lit's configuration could not go to its workers."""
import lit.formats


class PassTests(lit.formats.ShTest):
    """Tests whose commands have %peer-pass."""

    def getTestsInDirectory(self, *arguments):
        for test in super().getTestsInDirectory(*arguments):
            with open(test.getSourcePath(), encoding="utf-8", errors="replace") as source:
                if "%peer-pass" in source.read():
                    yield test
