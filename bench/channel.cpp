// What channels, select, tasks and timers cost on one loop, and what Go's cost beside them.
//
// Each round runs every case of ours, then Go's program (bench/go/channel.go), both on the same one CPU. The
// table gives medians over the rounds. An absolute time holds for one machine; the ratio carries over.

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <levada/levada.hpp>

namespace {

using levada::channel;
using levada::recv_channel;
using levada::send_channel;
using levada::task;
using namespace std::chrono_literals;

/// The processor time of this process: one thread that never sleeps, so on a quiet machine it is the time
/// that passes, and on a busy one it leaves the others out. Go's program reads the same clock.
double processor_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

class stopwatch {
public:
    [[nodiscard]] double ns() const { return processor_ns() - start_; }
    [[nodiscard]] double ns_per(int n) const { return ns() / n; }

private:
    double start_ = processor_ns();
};

/// What a case worked out and nobody reads.
volatile int sink;

void keep(int value) { sink = value; }

// Every case is a main task that does `n` operations and leaves its figure in `figure`.

task<> echo(recv_channel<int> in, send_channel<int> out) {
    while (auto v = co_await in.recv()) {
        auto sent = co_await out.send(*v);
        if (!sent) co_return;
    }
}

task<> ping_pong(int n, double& figure) {
    channel<int> there, back;
    auto other = levada::spawn(echo, there, back);
    int sum = 0;
    stopwatch watch;
    for (int i = 0; i < n / 2; ++i) {
        auto sent = co_await there.send(i);
        if (!sent) break;
        auto got = co_await back.recv();
        if (got) sum += *got;
    }
    figure = watch.ns_per(n);
    keep(sum);
    there.close();
    auto ended = co_await other.join();
    keep(ended.has_value());
}

task<> produce(send_channel<int> out, int n) {
    for (int i = 0; i < n; ++i) {
        auto sent = co_await out.send(i);
        if (!sent) co_return;
    }
}

task<> consume(recv_channel<int> in) {
    int sum = 0;
    while (auto v = co_await in.recv()) sum += *v;
    keep(sum);
}

template <int Senders, int Receivers, int Capacity>
task<> flow(int n, double& figure) {
    channel<int> ch(Capacity);
    levada::task_group senders, receivers;
    stopwatch watch;
    for (int i = 0; i < Senders; ++i) senders.go(produce, ch, n / Senders);
    for (int i = 0; i < Receivers; ++i) receivers.go(consume, ch);
    co_await senders.wait();
    ch.close();
    co_await receivers.wait();
    figure = watch.ns_per(n);
}

void fill(channel<int>& ch) {
    while (ch.try_send(1)) {
    }
}

task<> select_ready(int n, double& figure) {
    constexpr int batch = 2000;
    channel<int> a(batch), b(batch);
    double total = 0;
    int done = 0, sum = 0;
    for (; done < n; done += batch) {
        fill(a);
        fill(b);
        stopwatch watch;
        for (int i = 0; i < batch; ++i) {
            auto s = co_await levada::select(a.recv(), b.recv());
            sum += s.index() == 0 ? **levada::get_if<0>(s) : **levada::get_if<1>(s);
        }
        total += watch.ns();
    }
    figure = total / done;
    keep(sum);
}

using channels = std::vector<channel<int>>;

channels make_channels(int k, std::size_t capacity) {
    channels made;
    for (int i = 0; i < k; ++i) made.emplace_back(capacity);
    return made;
}

task<> feed(channels to, int n) {
    std::size_t at = 0;
    for (int i = 0; i < n; ++i) {
        auto sent = co_await to[at].send(i);
        if (!sent) co_return;
        if (++at == to.size()) at = 0;
    }
}

template <int Capacity>
task<> select_fed_2(int n, double& figure) {
    const channels chs = make_channels(2, Capacity);
    const channel<int> a = chs[0], b = chs[1];
    int sum = 0;
    stopwatch watch;
    auto feeder = levada::spawn(feed, chs, n);
    for (int i = 0; i < n; ++i) {
        auto s = co_await levada::select(a.recv(), b.recv());
        sum += static_cast<int>(s.index());
    }
    figure = watch.ns_per(n);
    keep(sum);
    auto ended = co_await feeder.join();
    keep(ended.has_value());
}

task<> select_fed_8(int n, double& figure) {
    const channels c = make_channels(8, 64);
    int sum = 0;
    stopwatch watch;
    auto feeder = levada::spawn(feed, c, n);
    for (int i = 0; i < n; ++i) {
        auto s = co_await levada::select(c[0].recv(), c[1].recv(), c[2].recv(), c[3].recv(), c[4].recv(),
                                         c[5].recv(), c[6].recv(), c[7].recv());
        sum += static_cast<int>(s.index());
    }
    figure = watch.ns_per(n);
    keep(sum);
    auto ended = co_await feeder.join();
    keep(ended.has_value());
}

task<> select_otherwise(int n, double& figure) {
    channel<int> ch;
    int sum = 0;
    stopwatch watch;
    for (int i = 0; i < n; ++i) {
        auto s = co_await levada::select(ch.recv(), levada::otherwise);
        sum += static_cast<int>(s.index());
    }
    figure = watch.ns_per(n);
    keep(sum);
}

template <int Capacity>
task<> select_timeout(int n, double& figure) {
    const channels chs = make_channels(1, Capacity);
    const channel<int> ch = chs[0];
    int sum = 0;
    stopwatch watch;
    auto feeder = levada::spawn(feed, chs, n);
    for (int i = 0; i < n; ++i) {
        auto s = co_await levada::select(ch.recv(), levada::after(1h));
        sum += static_cast<int>(s.index());
    }
    figure = watch.ns_per(n);
    keep(sum);
    auto ended = co_await feeder.join();
    keep(ended.has_value());
}

constexpr int spawn_batch = 100;

task<> count_down(int& left) {
    --left;
    co_return;
}

task<> go_and_finish(int n, double& figure) {
    int done = 0;
    stopwatch watch;
    for (; done < n; done += spawn_batch) {
        int left = spawn_batch;
        for (int i = 0; i < spawn_batch; ++i) levada::go(count_down, std::ref(left));
        while (left != 0) co_await levada::this_task::yield();
    }
    figure = watch.ns_per(done);
}

task<> spawn_and_join(int n, double& figure) {
    int left = n;
    stopwatch watch;
    for (int i = 0; i < n; ++i) {
        auto h = levada::spawn(count_down, std::ref(left));
        auto ended = co_await h.join();
        if (!ended) break;
    }
    figure = watch.ns_per(n);
    keep(left);
}

task<> group_go(int n, double& figure) {
    levada::task_group group;
    int done = 0, left = 0;
    stopwatch watch;
    for (; done < n; done += spawn_batch) {
        for (int i = 0; i < spawn_batch; ++i) group.go(count_down, std::ref(left));
        co_await group.wait();
    }
    figure = watch.ns_per(done);
}

task<> wait_on(recv_channel<int> ch) {
    auto v = co_await ch.recv();
    if (v) keep(*v);
}

task<> parked_bytes(int n, double& figure) {
    channel<int> ch;
    const std::size_t before = levada::frame_pool::live_bytes();
    for (int i = 0; i < n; ++i) levada::go(wait_on, recv_channel<int>(ch));
    co_await levada::this_task::yield();
    figure = static_cast<double>(levada::frame_pool::live_bytes() - before) / n;
    ch.close();
    co_await levada::this_task::yield();
}

task<> cancel_waiting(int n, double& figure) {
    channel<int> ch;
    levada::task_group group;
    for (int i = 0; i < n; ++i) group.go(wait_on, recv_channel<int>(ch));
    co_await levada::this_task::yield();
    stopwatch watch;
    group.cancel();
    co_await group.wait();
    figure = watch.ns_per(n);
}

task<> make_jobs(send_channel<int> jobs, int n) {
    for (int i = 0; i < n; ++i) {
        auto sent = co_await jobs.send(i);
        if (!sent) co_return;
    }
    jobs.close();
}

int twice(int job) { return job * 2; }

task<> run_pool(channel<int> jobs, channel<int> results) {
    co_await levada::worker_pool(4, jobs, results, twice);
}

task<> pool_of_4(int n, double& figure) {
    channel<int> jobs(64), results(64);
    int sum = 0;
    stopwatch watch;
    levada::task_group group;
    group.go(run_pool, jobs, results);
    group.go(make_jobs, jobs, n);
    while (auto r = co_await results.recv()) sum ^= *r;
    co_await group.wait();
    figure = watch.ns_per(n);
    keep(sum);
}

task<> numbers(send_channel<int> out) {
    for (int i = 2;; ++i) {
        auto sent = co_await out.send(i);
        if (!sent) co_return;
    }
}

task<> filter(recv_channel<int> in, send_channel<int> out, int prime) {
    while (auto v = co_await in.recv()) {
        if (*v % prime == 0) continue;
        auto sent = co_await out.send(*v);
        if (!sent) co_return;
    }
}

task<> sieve(int n, double& figure) {
    levada::task_group group;
    channel<int> in;
    stopwatch watch;
    group.go(numbers, in);
    for (int i = 0; i < n; ++i) {
        auto prime = co_await in.recv();
        if (!prime) break;
        channel<int> out;
        group.go(filter, in, out, *prime);
        in = out;
    }
    figure = watch.ns() / 1e6;
    group.cancel();
    co_await group.wait();
}

task<> node(int first, int leaves, send_channel<int> to) {
    int sum = first;
    if (leaves > 1) {
        channel<int> from;
        const int share = leaves / 10;
        for (int i = 0; i < 10; ++i) levada::go(node, first + i * share, share, from);
        sum = 0;
        for (int i = 0; i < 10; ++i) {
            auto part = co_await from.recv();
            if (part) sum += *part;
        }
    }
    auto sent = co_await to.send(sum);
    keep(sent.has_value());
}

task<> skynet(int n, double& figure) {
    int leaves = 1;
    while (leaves * 10 <= n) leaves *= 10;
    channel<int> to;
    stopwatch watch;
    levada::go(node, 0, leaves, to);
    auto sum = co_await to.recv();
    figure = watch.ns_per(leaves);
    if (sum) keep(*sum);
}

int nothing() { return 1; }

task<> timers(int n, double& figure) {
    int sum = 0;
    stopwatch watch;
    for (int i = 0; i < n; ++i) {
        auto done = co_await levada::with_timeout(1h, nothing);
        if (done) sum += *done;
    }
    figure = watch.ns_per(n);
    keep(sum);
}

#ifdef __clang__
constexpr double parked_limit = 256;
#else
constexpr double parked_limit = 320;
#endif

struct bench_case {
    const char* name;
    int size; // operations of a round at scale 1; those of channel.go
    task<> (*run)(int, double&);
    double limit = 0; // that we set ourselves; 0: none
};

constexpr bench_case cases[] = {
    {"rendezvous ping-pong", 400'000, ping_pong, 25},
    {"rendezvous one way", 400'000, flow<1, 1, 0>},
    {"1 to 1, capacity 1", 400'000, flow<1, 1, 1>},
    {"1 to 1, capacity 64", 1'000'000, flow<1, 1, 64>, 15},
    {"1 to 1, capacity 1024", 1'000'000, flow<1, 1, 1024>, 15},
    {"4 to 1, capacity 64", 1'000'000, flow<4, 1, 64>},
    {"4 to 4, capacity 64", 1'000'000, flow<4, 4, 64>},
    {"select, 2 ready", 400'000, select_ready, 35},
    {"select, 2 fed in turns", 400'000, select_fed_2<64>},
    {"select, 2 fed in turns, parks", 200'000, select_fed_2<0>},
    {"select, 8 fed in turns", 200'000, select_fed_8},
    {"select, otherwise, empty", 1'000'000, select_otherwise},
    {"select, timeout, ready", 200'000, select_timeout<64>},
    {"select, timeout, parks", 200'000, select_timeout<0>},
    {"go and finish", 200'000, go_and_finish, 60},
    {"spawn and join", 200'000, spawn_and_join},
    {"group go and finish", 200'000, group_go},
    {"parked task, bytes", 100'000, parked_bytes, parked_limit},
    {"worker pool of 4", 1'000'000, pool_of_4},
    {"prime sieve, 2000 primes, ms", 2'000, sieve},
    {"skynet, 100000 leaves", 100'000, skynet},
    {"timer made and dropped", 200'000, timers},
    {"cancel 100000 waiting tasks", 100'000, cancel_waiting},
};

struct options {
    int rounds = 5;
    double scale = 1;
    std::string only;
    bool go = true;
};

constexpr const char* usage = "usage: channel [--rounds N] [--only SUBSTRING] [--scale X] [--no-go]\n"
                              "  --rounds N        how often everything runs (5)\n"
                              "  --only SUBSTRING  only cases whose name contains it\n"
                              "  --scale X         multiplies the work of every case (1)\n"
                              "  --no-go           leaves Go out\n"
                              "Figures are ns per message or operation where the name says nothing else:\n"
                              "the median over the rounds, and the least and the greatest.\n";

class bad_option : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class T>
T positive(const char* option, std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value > 0) || value > T(1'000'000))
        throw bad_option(std::string(option) + " needs a number from above 0 to a million, not \"" +
                         std::string(text) + "\"");
    return value;
}

options read_options(int argc, char** argv) {
    options read;
    for (int i = 1; i < argc; ++i) {
        const std::string_view option = argv[i];
        const auto value = [&]() -> std::string_view {
            if (++i == argc) throw bad_option(std::string(option) + " needs a value");
            return argv[i];
        };
        if (option == "--rounds") read.rounds = positive<int>("--rounds", value());
        else if (option == "--scale") read.scale = positive<double>("--scale", value());
        else if (option == "--only") read.only = value();
        else if (option == "--no-go") read.go = false;
        else throw bad_option("unknown option " + std::string(option) + "; --help lists them");
    }
    return read;
}

bool wanted(const bench_case& c, const options& o) {
    return std::string_view(c.name).find(o.only) != std::string_view::npos;
}

double run_case(const bench_case& c, double scale) {
    double figure = 0;
    const double n = std::min(std::max(10.0, c.size * scale), 2e9);
    levada::run(c.run, static_cast<int>(n), std::ref(figure));
    return figure;
}

using figures = std::map<std::string, std::vector<double>>;

/// Go's program, which stands beside this one; empty if it does not.
std::string go_program() {
    std::array<char, 4096> self;
    const auto n = ::readlink("/proc/self/exe", self.data(), self.size());
    if (n <= 0 || static_cast<std::size_t>(n) == self.size()) return {};
    std::string path = std::string(self.data(), static_cast<std::size_t>(n)) + "-go";
    return ::access(path.c_str(), X_OK) == 0 ? path : std::string();
}

std::string shell_word(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') out += "'\\''";
        else out += c;
    }
    return out + "'";
}

void run_go(const std::string& program, const options& o, figures& into) {
    const std::string command =
        shell_word(program) + " -scale " + std::to_string(o.scale) + " -only " + shell_word(o.only);
    std::FILE* pipe = ::popen(command.c_str(), "re");
    if (!pipe) throw std::runtime_error("cannot start " + program);
    std::array<char, 512> line;
    while (std::fgets(line.data(), line.size(), pipe)) {
        char* tab = std::strchr(line.data(), '\t');
        if (!tab) continue;
        into[std::string(line.data(), tab)].push_back(std::strtod(tab + 1, nullptr));
    }
    if (::pclose(pipe) != 0) throw std::runtime_error(program + " failed");
}

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    const std::size_t half = v.size() / 2;
    return v.size() % 2 ? v[half] : (v[half - 1] + v[half]) / 2;
}

/// On one CPU, the last that we may use; the child too. Where that is refused it goes without.
void pin() {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
    for (std::size_t cpu = CPU_SETSIZE; cpu-- > 0;) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        (void)::sched_setaffinity(0, sizeof(one), &one);
        return;
    }
}

void print_table(const options& o, const figures& ours, const figures& gos) {
    std::printf("%-30s %9s %19s %6s", "case", "ns", "min..max", "limit");
    std::printf(gos.empty() ? "\n" : " %9s %6s\n", "Go", "Go/us");
    for (const auto& c : cases) {
        if (!wanted(c, o)) continue;
        const auto& v = ours.at(c.name);
        const double m = median(v);
        const auto [least, greatest] = std::minmax_element(v.begin(), v.end());
        std::array<char, 64> spread;
        std::snprintf(spread.data(), spread.size(), "%.1f..%.1f", *least, *greatest);
        std::printf("%-30s %9.1f %19s", c.name, m, spread.data());
        if (c.limit > 0) std::printf(" %6.0f", c.limit);
        else std::printf(" %6s", "");
        if (const auto g = gos.find(c.name); g != gos.end()) {
            const double go = median(g->second);
            std::printf(" %9.1f %5.1fx", go, m > 0 ? go / m : 0.0);
        }
        std::printf(c.limit > 0 && m > c.limit ? "  over the limit\n" : "\n");
    }
}

void bench(const options& o) {
    if (std::none_of(std::begin(cases), std::end(cases), [&](auto& c) { return wanted(c, o); }))
        throw bad_option("no case has \"" + o.only + "\" in its name");
    const std::string go = o.go ? go_program() : std::string();
    if (o.go && go.empty()) std::printf("go: not installed (package golang-go): ratios left out\n");
    pin();
    figures ours, gos;
    for (int round = 0; round < o.rounds; ++round) {
        for (const auto& c : cases)
            if (wanted(c, o)) ours[c.name].push_back(run_case(c, o.scale));
        if (!go.empty()) run_go(go, o, gos);
    }
#if defined(__clang__)
    std::printf("clang %s", __clang_version__);
#else
    std::printf("g++ %s", __VERSION__);
#endif
    std::printf(", %d rounds, medians; ns an operation where the name says nothing else\n", o.rounds);
    print_table(o, ours, gos);
}

} // namespace

int main(int argc, char** argv) {
    try {
        if (argc == 2 && std::string_view(argv[1]) == "--help") {
            std::fputs(usage, stdout);
            return 0;
        }
        bench(read_options(argc, argv));
        return std::fflush(stdout) == 0 ? 0 : 1;
    } catch (const bad_option& e) {
        std::fprintf(stderr, "channel: %s\n", e.what());
        return 2;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "channel: %s\n", e.what());
        return 1;
    }
}
