// levada in an io_uring that the program owns: its operations and ours in one ring.

#include <liburing.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <system_error>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t our_tag = 0x4c56;

task<> count(bool& done) {
    for (int i = 1; i <= 3; ++i) {
        co_await sleep_for(1ms);
        std::printf("task: %d\n", i);
    }
    done = true;
}

void submit_and_wait(io_uring& ring, time_point deadline) {
    __kernel_timespec limit{3600, 0};
    if (deadline != time_point::max()) {
        const auto left = std::max(duration::zero(), deadline - std::chrono::steady_clock::now());
        limit = {left / 1s, (left % 1s) / 1ns};
    }
    io_uring_cqe* first = nullptr;
    const int r = io_uring_submit_and_wait_timeout(&ring, &first, 1, &limit, nullptr);
    if (r < 0 && r != -ETIME && r != -EINTR)
        throw std::system_error(-r, std::system_category(), "io_uring_submit_and_wait_timeout");
}

} // namespace

int main() try {
    io_uring ring;
    if (const int r = io_uring_queue_init(64, &ring, 0); r < 0)
        throw std::system_error(-r, std::system_category(), "io_uring_queue_init");
    {
        event_loop loop(guest_ring{&ring, our_tag});
        bool done = false;
        loop.go(count, std::ref(done));

        // An operation of the program's own.
        io_uring_sqe* sqe = io_uring_get_sqe(&ring);
        io_uring_prep_nop(sqe);
        io_uring_sqe_set_data64(sqe, 1);

        for (;;) {
            loop.run_ready();
            if (done) break;
            submit_and_wait(ring, loop.next_deadline());
            io_uring_cqe* cqe = nullptr;
            while (io_uring_peek_cqe(&ring, &cqe) == 0 && cqe) {
                if (!loop.dispatch(cqe)) std::printf("own operation: %d\n", static_cast<int>(cqe->user_data));
                io_uring_cqe_seen(&ring, cqe);
            }
        }
    }
    io_uring_queue_exit(&ring);
    std::printf("done\n");
} catch (const std::exception& e) {
    std::fprintf(stderr, "guest_ring: %s\n", e.what());
    return 1;
}
