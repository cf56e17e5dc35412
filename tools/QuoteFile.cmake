# Writes IN as a string literal of C++ to OUT.
file(READ "${IN}" text)
file(WRITE "${OUT}" "R\"peerdocs(${text})peerdocs\"\n")
