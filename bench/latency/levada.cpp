// How late a task runs that something has woken, beside tasks that always compute: `latency_levada CASE BUSY
// STEP MS`.
//
// CASE: `heartbeat`, a sleep of 1 ms; `echo`, a message from another process; `cancel`, from the cancel of a
// task that waits to its end; `limit`, of 1 ms around a task that computes. BUSY tasks compute STEP
// microseconds between two operations that are ready at once. Runs for MS milliseconds, and prints count,
// p50, p99, p99.9 and worst, in us.

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

using microseconds = std::chrono::duration<double, std::micro>;

struct plan {
    std::string_view what;
    int busy;
    duration step;
    duration length;
};

void compute(duration d) {
    for (const auto end = std::chrono::steady_clock::now() + d; std::chrono::steady_clock::now() < end;) {
    }
}

task<> compute_for_ever(duration step) {
    channel<int> mine(1);
    for (;;) {
        compute(step);
        co_await or_throw(mine.send(1));
        auto back = co_await mine.recv();
        if (!back) co_return;
    }
}

class times {
public:
    void add(duration late) { us_.push_back(microseconds(late).count()); }
    void print() {
        std::sort(us_.begin(), us_.end());
        const auto at = [this](double q) {
            return us_[std::min(us_.size() - 1,
                                static_cast<std::size_t>(q * static_cast<double>(us_.size())))];
        };
        if (us_.empty()) std::puts("0");
        else std::printf("%zu %.1f %.1f %.1f %.1f\n", us_.size(), at(0.5), at(0.99), at(0.999), us_.back());
    }

private:
    std::vector<double> us_;
};

task<> heartbeat(times& late, time_point end) {
    while (now() < end) {
        const time_point due = now() + 1ms;
        co_await sleep_for(1ms);
        late.add(now() - due);
    }
}

task<> cancels(times& late, time_point end) {
    while (now() < end) {
        co_await sleep_for(1ms);
        auto waits = spawn([]() -> task<> {
            channel<int> never = nil;
            auto r = co_await never.recv();
            static_cast<void>(r);
        });
        co_await sleep_for(100us);
        const time_point began = now();
        waits.cancel();
        auto r = co_await waits.join();
        static_cast<void>(r);
        late.add(now() - began);
    }
}

task<> limits(times& late, time_point end, duration step) {
    while (now() < end) {
        co_await sleep_for(1ms);
        const time_point due = now() + 1ms;
        auto r = co_await with_timeout(1ms, compute_for_ever, step);
        static_cast<void>(r);
        late.add(now() - due);
    }
}

// Its parent measures from the time that stands in each message.
[[noreturn]] void send_times(int to) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        const timespec pause{0, 1'000'000};
        ::nanosleep(&pause, nullptr);
        const auto t = std::chrono::steady_clock::now().time_since_epoch().count();
        if (::send(to, &t, sizeof t, MSG_NOSIGNAL) != sizeof t) ::_exit(0);
    }
}

task<> echo(times& late, time_point end, int from) {
    while (now() < end) {
        auto ready = co_await poll_descriptor(from, POLLIN);
        if (!ready) co_return;
        std::chrono::steady_clock::rep t = 0;
        if (::recv(from, &t, sizeof t, MSG_DONTWAIT) != sizeof t) co_return;
        late.add(now() - time_point(time_point::duration(t)));
    }
}

task<> measure(plan p, int from) {
    times late;
    co_await with_group([&](task_group& g) -> task<> {
        for (int i = 0; i < p.busy; ++i) g.go(compute_for_ever, p.step);
        const time_point end = now() + p.length;
        if (p.what == "heartbeat") co_await heartbeat(late, end);
        else if (p.what == "cancel") co_await cancels(late, end);
        else if (p.what == "limit") co_await limits(late, end, p.step);
        else co_await echo(late, end, from);
        g.cancel();
    });
    late.print();
}

} // namespace

int main(int argc, char** argv) {
    constexpr std::array<std::string_view, 4> cases{"heartbeat", "echo", "cancel", "limit"};
    if (argc != 5 || std::find(cases.begin(), cases.end(), argv[1]) == cases.end()) {
        std::fputs("usage: latency_levada heartbeat|echo|cancel|limit BUSY STEP_US MS\n", stderr);
        return 2;
    }
    const plan p{argv[1], std::atoi(argv[2]), std::chrono::microseconds(std::atol(argv[3])),
                 std::chrono::milliseconds(std::atol(argv[4]))};
    int ends[2] = {-1, -1};
    if (p.what == "echo") {
        if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0) return 1;
        if (::fork() == 0) send_times(ends[1]);
        ::close(ends[1]);
    }
    return levada::run(measure, p, ends[0]);
}
