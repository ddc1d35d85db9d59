#include <levada/sync/once.hpp>

#include <levada/detail/util/fatal.hpp>

namespace levada {

once::~once() {
    if (turn_.in_use())
        detail::fatal_unless_exiting("a once was destroyed while a call runs or waits; made", where_);
}

} // namespace levada
