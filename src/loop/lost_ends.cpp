#include "lost_ends.hpp"

#include <liburing.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "ring.hpp"

namespace levada::detail {
namespace {

// After the first bytes since the last look. A busy loop asks once for all that came meanwhile.
constexpr std::chrono::nanoseconds between_looks = std::chrono::milliseconds(2);
constexpr std::size_t at_once = 64;

} // namespace

void lost_ends::watch(multishot::unsure_hook& m) noexcept {
    if (std::exchange(m.watched, true)) return;
    unsure_.insert(m);
    if (pending_ == 0) ring_.submit(*this);
}

void lost_ends::forget(multishot::unsure_hook& m) noexcept {
    if (std::exchange(m.watched, false)) unsure_.erase(m);
}

void lost_ends::prepare(io_uring_sqe& sqe) noexcept {
    spec_.tv_nsec = between_looks.count();
    io_uring_prep_timeout(&sqe, &spec_, 0, 0);
}

void lost_ends::completed(int, unsigned, bool) noexcept {
    --pending_;
    ring_.ended(*this);
    while (!unsure_.empty()) look();
}

void lost_ends::look() noexcept {
    std::array<pollfd, at_once> asked{};
    std::array<multishot*, at_once> of{};
    nfds_t n = 0;
    while (n < at_once && !unsure_.empty()) {
        multishot::unsure_hook& m = *unsure_.front();
        forget(m);
        of[n] = m.self;
        asked[n].fd = m.descriptor;
        asked[n].events = POLLRDHUP; // POLLHUP and POLLERR are always told
        ++n;
    }
    int ended;
    do ended = ::poll(asked.data(), n, 0);
    while (ended < 0 && errno == EINTR);
    if (ended == 0) return;
    // One that is taken back stays in the ring until its completions are in, so none goes meanwhile. Where
    // poll(2) could not tell, all are.
    for (nfds_t i = 0; i < n; ++i)
        if (ended < 0 || (asked[i].revents & (POLLRDHUP | POLLHUP)) != 0) of[i]->stop();
}

} // namespace levada::detail
