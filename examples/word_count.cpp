// Counts the words of whole directory trees: one task walks, many read, some count, and main merges.
//
//     walk --paths--> readers --jobs--> workers --results--> main
//
// The channels are bounded, so however large the trees are, only so many files are in memory at once.

#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr int readers = 32; // files that are read at once

constexpr const char* usage =
    R"(Usage: word_count PATH... [--workers N] [--top N]

Counts the words of the files PATH, and of all regular files below the directories PATH. A word is a run of
ASCII letters that is as long as possible; upper and lower case are the same. Everything else separates words.

  --workers N  tasks that count, 1 to 1024 (4)
  --top N      how many of the most frequent words are printed, 0 or more (10)
  --help       print this, and exit

Prints the words with their counts, the most frequent first and equals by the alphabet, and a summary. A file
that cannot be read is named on stderr, counted in the summary, and skipped. On a terminal it shows how far it
is. Ctrl-C (or SIGTERM) stops it: what was counted until then is printed, marked "partial".

Exit status: 0 done; 1 it could not work; 2 bad arguments; 130 stopped by Ctrl-C (143 by SIGTERM).
)";

struct settings {
    std::vector<std::string> paths;
    std::size_t workers = 4;
    std::size_t top = 10;
};

// A hash that takes a std::string_view too: a word that is known is looked up without making a string.
struct word_hash {
    using is_transparent = void;
    // Not noexcept: libstdc++ takes a hash for fast that is, and would not keep it beside the word.
    std::size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
};
using word_counts = std::unordered_map<std::string, std::uint64_t, word_hash, std::equal_to<>>;

// What was done so far. Atomic, as these are read by one task while others go on.
struct progress {
    std::atomic<std::uint64_t> files = 0;
    std::atomic<std::uint64_t> bytes = 0;
    std::atomic<std::uint64_t> unreadable = 0;
    const time_point began = now();
    const bool shown = ::isatty(STDERR_FILENO) == 1;

    [[nodiscard]] double seconds() const { return std::chrono::duration<double>(now() - began).count(); }
    [[nodiscard]] double megabytes() const { return static_cast<double>(bytes.load()) / 1e6; }
    void clear_line() const {
        if (shown) std::fputs("\r\033[K", stderr);
    }
};

void add_words(word_counts& counts, std::string& text) {
    for (char& c : text) { // letters to lower case, all else to 0
        const char lower = static_cast<char>(c | 0x20);
        c = lower >= 'a' && lower <= 'z' ? lower : '\0';
    }
    const char* const end = text.data() + text.size();
    for (const char* at = text.data();;) {
        while (at != end && *at == '\0') ++at;
        if (at == end) return;
        const char* const first = at;
        while (at != end && *at != '\0') ++at;
        const std::string_view word(first, static_cast<std::size_t>(at - first));
        if (const auto known = counts.find(word); known != counts.end()) ++known->second;
        else counts.emplace(word, 1);
    }
}

task<> walk_all(std::vector<std::string> roots, send_channel<walk_entry> paths) {
    for (const std::string& root : roots) {
        auto walked = co_await walk(root, paths);
        if (!walked) break; // nobody reads any more
    }
    paths.close();
}

task<> read_files(recv_channel<walk_entry> paths, send_end<std::string> jobs, progress& done) {
    while (auto entry = co_await paths.recv()) {
        result<std::string> text = fail(entry->error);
        if (!entry->error) text = co_await read_file(entry->path);
        if (text) {
            auto sent = co_await jobs.send(std::move(*text));
            if (!sent) co_return;
        } else {
            ++done.unreadable;
            done.clear_line();
            std::fprintf(stderr, "word_count: %s: %s\n", entry->path.c_str(), text.error().message().c_str());
        }
    }
}

task<> count_words(recv_channel<std::string> jobs, send_channel<word_counts> results, progress& done) {
    word_counts counts;
    // Runs when a cancel unwinds this task too: what it has counted is not lost.
    defer hand_over([&] { std::ignore = results.try_send(std::move(counts)); });
    while (auto text = co_await jobs.recv()) {
        add_words(counts, *text);
        ++done.files;
        done.bytes += text->size();
    }
}

task<> count_trees(const settings& set, send_channel<word_counts> results, progress& done) {
    channel<walk_entry> paths(2 * readers);
    auto [jobs_in, jobs] = make_ends<std::string>(readers); // closes when the last reader is gone
    co_await with_group([&](task_group& g) -> task<> {
        g.go(walk_all, set.paths, paths);
        for (int i = 0; i < readers; ++i) g.go(read_files, paths, jobs_in, std::ref(done));
        for (std::size_t i = 0; i < set.workers; ++i) g.go(count_words, jobs, results, std::ref(done));
        jobs_in.reset(); // the readers have theirs
        co_return;
    });
}

task<> show_progress(progress& done) {
    defer clear([&] { done.clear_line(); });
    for (;;) {
        std::fprintf(stderr, "\r\033[K%llu files, %.1f MB, %.1f MB/s",
                     static_cast<unsigned long long>(done.files), done.megabytes(),
                     done.megabytes() / done.seconds());
        co_await sleep_for(200ms);
    }
}

// Cancels the group that it is in, and the body of that with it.
task<> stop_on_signal(recv_channel<int> signals, task_group& g, int& stopped_by) {
    auto number = co_await signals.recv();
    stopped_by = number.value_or(SIGINT);
    g.cancel();
}

void print(const word_counts& counts, const settings& set, const progress& done, bool partial) {
    std::uint64_t words = 0;
    std::vector<std::pair<std::string_view, std::uint64_t>> order;
    order.reserve(counts.size());
    for (const auto& [word, count] : counts) {
        order.emplace_back(word, count);
        words += count;
    }
    const auto last = order.begin() + static_cast<std::ptrdiff_t>(std::min(set.top, order.size()));
    std::partial_sort(order.begin(), last, order.end(), [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    for (auto at = order.begin(); at != last; ++at)
        std::printf("%10llu %.*s\n", static_cast<unsigned long long>(at->second),
                    static_cast<int>(at->first.size()), at->first.data());

    const double seconds = done.seconds();
    std::printf("%s%llu files, %llu bytes, %.3f s, %.1f MB/s, %llu words, %zu different, %llu unreadable\n",
                partial ? "partial: " : "", static_cast<unsigned long long>(done.files),
                static_cast<unsigned long long>(done.bytes), seconds, done.megabytes() / seconds,
                static_cast<unsigned long long>(words), counts.size(),
                static_cast<unsigned long long>(done.unreadable));
}

task<int> word_count(settings set) {
    auto signals = signal_channel({SIGINT, SIGTERM});
    progress done;
    channel<word_counts> results(set.workers); // room for all, so that handing over never waits

    int stopped_by = 0;
    co_await with_group([&](task_group& g) -> task<> {
        g.go(stop_on_signal, signals, std::ref(g), std::ref(stopped_by));
        if (done.shown) g.go(show_progress, std::ref(done));
        co_await count_trees(set, results, done);
        g.cancel(); // the two above
    });

    results.close();
    word_counts total;
    while (auto counts = co_await results.recv()) {
        total.merge(*counts); // takes the words that are new, and leaves the others
        for (const auto& [word, count] : *counts) total.find(word)->second += count;
    }
    print(total, set, done, stopped_by != 0);
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::system_category(), "cannot write");
    co_return stopped_by == 0 ? 0 : 128 + stopped_by;
}

int refuse(const std::string& why) {
    std::fprintf(stderr, "word_count: %s\n", why.c_str());
    return 2;
}

std::optional<std::size_t> number(std::string_view text, std::size_t least, std::size_t most) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) return {};
    return value;
}

} // namespace

int main(int argc, char** argv) try {
    settings set;
    const option options[] = {{"workers", required_argument, nullptr, 'w'},
                              {"top", required_argument, nullptr, 't'},
                              {"help", no_argument, nullptr, 'h'},
                              {}};
    opterr = 0; // the messages are ours
    for (int o; (o = ::getopt_long_only(argc, argv, ":", options, nullptr)) != -1;) {
        const std::string given = argv[optind - 1];
        switch (o) {
            case 'w':
                if (const auto n = number(optarg, 1, 1024)) set.workers = *n;
                else
                    return refuse("--workers takes a number from 1 to 1024, not '" + std::string(optarg) +
                                  "'");
                break;
            case 't':
                if (const auto n = number(optarg, 0, SIZE_MAX)) set.top = *n;
                else return refuse("--top takes a number, 0 or more, not '" + std::string(optarg) + "'");
                break;
            case 'h': std::fputs(usage, stdout); return 0;
            case ':': return refuse(given + " needs a number after it");
            default: return refuse("unknown option '" + given + "'; --help lists those there are");
        }
    }
    set.paths.assign(argv + optind, argv + argc);
    if (set.paths.empty()) return refuse("which files? Give a PATH, as in: word_count /usr/include");
    for (const std::string& path : set.paths) {
        std::error_code error;
        if (std::filesystem::status(path, error).type() == std::filesystem::file_type::not_found)
            return refuse("there is no '" + path + "'; give files or directories that exist");
    }
    return levada::run(word_count, std::move(set));
} catch (const std::exception& e) { // no io_uring here, or no memory
    std::fprintf(stderr, "word_count: %s\n", e.what());
    return 1;
}
