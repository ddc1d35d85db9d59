// Compiled once for all of the library's files in the builds with sanitizers, which take long. The others
// show that each file includes what it needs.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>
