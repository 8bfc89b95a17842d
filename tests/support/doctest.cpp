// doctest itself, apart from main: bench-bits links the references, which include doctest, and has a main of its own.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
