#pragma once

#include <levada/levada.hpp>
#include <levada/testing/explore.hpp>
#include <levada/testing/leak_guard.hpp>
#include <levada/testing/virtual_loop.hpp>
