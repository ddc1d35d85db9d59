#include <levada/loop/offload.hpp>

#include <cerrno>
#include <system_error>

#include <levada/detail/util/fatal.hpp>

#include "forks.hpp"
#include "offload_pool.hpp"

namespace levada::detail {

bool offload_job::link() noexcept {
    if (!who->home()->kernel())
        fatal("offload was awaited on a loop that other threads cannot post to: it needs an event_loop");
    set_out();
    const std::error_code error = offload_pool::of_calls().submit(*this);
    if (!error) return false;
    no_thread_ = error.value();
    never_left();
    return true;
}

bool offload_job::withdraw() noexcept {
    if (is_back()) return true;
    if (offload_pool::of_calls().withdraw(*this)) {
        never_left();
        return true;
    }
    scope_.cancel();
    return false;
}

void offload_job::work_here() noexcept {
    const unsigned process = forks();
    scope_.enter();
    call();
    scope_.leave();
    if (forks() != process)
        fatal("a call of offload has forked, and returned in the child, where its task is not: end the child "
              "with _exit, or have it run another program");
    arrive();
}

void offload_job::check_called() const {
    if (no_thread_ != 0)
        throw std::system_error(no_thread_, std::system_category(), "offload: no thread could be started");
}

} // namespace levada::detail

namespace levada {

std::size_t offload_limit() noexcept { return detail::offload_pool::of_calls().limit(); }
void set_offload_limit(std::size_t threads) noexcept { detail::offload_pool::of_calls().set_limit(threads); }
std::size_t offload_threads() noexcept { return detail::offload_pool::of_calls().threads(); }

} // namespace levada
