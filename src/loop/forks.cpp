#include "forks.hpp"

#include <pthread.h>

#include <string>

#include <levada/detail/util/fatal.hpp>

#include "offload_pool.hpp"

namespace levada::detail {
namespace {

// In the child as in the parent, the one thread that may let go of these locks is the one that took them.
void before_fork() noexcept { offload_pool::hold_all(); }
void in_parent() noexcept { offload_pool::let_go_of_all(); }
void in_child() noexcept {
    forks_so_far.fetch_add(1, std::memory_order_relaxed);
    offload_pool::start_anew();
    offload_pool::let_go_of_all();
}

} // namespace

void count_forks() noexcept {
    static const int registered = ::pthread_atfork(before_fork, in_parent, in_child);
    static_cast<void>(registered); // out of memory: then a fork is not noticed
}

void used_after_fork(const char* what) noexcept {
    fatal(
        std::string(what) +
        " was made before a fork(), and is used in the child: its ring is the parent's, and its threads are "
        "not here. Make a new one in the child, or fork before the first one is made");
}

} // namespace levada::detail
