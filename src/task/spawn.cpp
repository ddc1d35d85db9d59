#include <levada/task/spawn.hpp>

#include <string>

#include <levada/detail/util/fatal.hpp>

namespace levada::detail {

executor& current_executor(const char* what) noexcept {
    executor* e = executor::current();
    if (!e) fatal({what, " was used outside of a loop"});
    return *e;
}

} // namespace levada::detail
