// Compiled once for each folder of tests.

#include <support.hpp>

#include <levada/levada.hpp>
