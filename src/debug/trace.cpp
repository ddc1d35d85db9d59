#include <levada/debug/trace.hpp>

#include <sys/single_threaded.h>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/trace_hooks.hpp>
#include <levada/detail/util/lock.hpp>

#include "../loop/above_standard.hpp"

// Invariants:
// 1. Each thread writes to a log of its own, under that log's lock, which is free but while a trace begins or
//    is written. So writing costs no waiting, and who writes the file sees all that was noted.
// 2. Logs are kept for ever and used again: a thread that found the sink just before it was taken away may
//    come late. `on_` says whether its event still counts.

namespace levada::debug {
namespace {

enum class kind : std::uint8_t { began, ended, woke, awaits };

struct event {
    std::int64_t at; // ns of the steady clock
    const void* task;
    std::uint32_t text; // in the log's texts
    kind what;
};

constexpr std::size_t most_events = 1'000'000;

struct log {
    detail::lock guard; // guards all that follows
    bool on = false;
    long thread = 0;
    std::string thread_name;
    std::vector<event> events;
    std::size_t dropped = 0;
    std::vector<std::string> texts;
    std::unordered_map<std::string, std::uint32_t> known;

    void reset(bool now_on) {
        on = now_on;
        events.clear();
        dropped = 0;
        texts.assign(1, std::string()); // 0: none
        known.clear();
    }
    std::uint32_t text_of(std::string text) {
        const auto [at, made] = known.try_emplace(std::move(text), static_cast<std::uint32_t>(texts.size()));
        if (made) texts.push_back(at->first);
        return at->second;
    }
};

class sink final : public detail::trace_sink {
public:
    static sink& get() {
        static sink* s = new sink; // never destroyed: threads may end after main
        return *s;
    }

    void begin() {
        const std::lock_guard all(mutex_);
        if (on_) throw std::logic_error("a trace is being taken already: stop it first");
        on_ = true;
        for (const auto& l : logs_) {
            const detail::lock_guard guard(l->guard);
            l->reset(true);
        }
        detail::owner_section::end_for_good(); // sections have no hooks
        __libc_single_threaded = 0;            // and there is no other way to be alone
        detail::trace_to.store(this, std::memory_order_seq_cst);
    }
    trace::summary end(const std::string& file);

    void run(work& w) noexcept override {
        if (auto* const task = dynamic_cast<detail::task_block*>(&w)) {
            began(*task);
            w.run();
            note(kind::ended, nullptr, nullptr);
        } else {
            w.run();
        }
    }
    void began(const detail::task_block& task) noexcept {
        const detail::waiter* const p = &task;
        note(kind::began, p, [&task](std::string& text) {
            text = task.has(detail::task_flag::named) ? task.name() : std::string();
            if (text.empty()) add_place(text, task.where());
        });
    }
    void woke(const detail::waiter& p) noexcept override { note(kind::woke, &p, nullptr); }
    void awaits(const detail::waiter& p, const detail::operation& op) noexcept override {
        note(kind::awaits, &p, [&op](std::string& text) { describe(text, op); });
    }

private:
    static void add_place(std::string& text, const std::source_location& where) {
        const std::string_view path = where.line() == 0 ? "a task" : where.file_name();
        text += path.substr(path.rfind('/') + 1);
        if (where.line() != 0) text += ":" + std::to_string(where.line());
    }
    // Without the sizes: each would be a text of its own.
    static void describe(std::string& text, const detail::operation& op) {
        std::string all;
        op.describe(all);
        text += std::string_view(all).substr(0, all.find(" ("));
    }

    log* mine() {
        thread_local log* l = nullptr;
        if (l) return l;
        auto made = std::make_unique<log>();
        char name[16] = "";
        ::pthread_getname_np(::pthread_self(), name, sizeof name);
        made->thread_name = name;
        made->thread = ::syscall(SYS_gettid);
        const std::lock_guard all(mutex_);
        made->reset(on_);
        logs_.push_back(std::move(made));
        return l = logs_.back().get();
    }

    template <class F>
    void note(kind what, const void* task, const F& text) noexcept {
        const auto at = std::chrono::steady_clock::now().time_since_epoch();
        try {
            log& l = *mine();
            const detail::lock_guard guard(l.guard);
            if (!l.on) return;
            if (l.events.size() == most_events) {
                ++l.dropped;
                return;
            }
            std::uint32_t number = 0;
            if constexpr (!std::is_same_v<F, std::nullptr_t>) {
                std::string t;
                text(t);
                number = l.text_of(std::move(t));
            }
            l.events.push_back(
                {std::chrono::duration_cast<std::chrono::nanoseconds>(at).count(), task, number, what});
        } catch (const std::bad_alloc&) {
            lost_.fetch_add(1, std::memory_order_relaxed);
        }
    }

    std::mutex mutex_; // guards what follows; taken before the lock of a log
    bool on_ = false;
    std::vector<std::unique_ptr<log>> logs_;
    std::atomic<std::size_t> lost_{0}; // for want of memory
};

/// Writes the events of one trace in Chrome's format.
class writer {
public:
    explicit writer(const std::string& file) : name_(file), out_(create(file)) {
        if (!out_) fail();
        std::fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", out_);
        std::fputs("{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"levada\"}}", out_);
    }
    ~writer() {
        if (out_) std::fclose(out_);
    }
    writer(const writer&) = delete;
    writer& operator=(const writer&) = delete;

    static std::FILE* create(const std::string& file) {
        const int made = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        const int fd = detail::above_standard(made);
        return fd < 0 ? nullptr : ::fdopen(fd, "w");
    }

    void thread(const log& l) {
        std::fprintf(
            out_,
            ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%ld,\"name\":\"thread_name\",\"args\":{\"name\":", l.thread);
        string(l.thread_name);
        std::fputs("}}", out_);
    }
    void one(const log& l, const event& e) {
        const double us = static_cast<double>(e.at) / 1000;
        switch (e.what) {
            case kind::began: {
                open(us, l, "B", l.texts[e.text]);
                std::fprintf(out_, ",\"args\":{\"task\":\"%p\"", e.task);
                const auto from = wakes_.find(e.task);
                // What it was woken from is what it awaited last.
                if (const auto last = awaits_.find(e.task); last != awaits_.end()) {
                    if (from != wakes_.end()) {
                        std::fputs(",\"waited for\":", out_);
                        string(*last->second);
                    }
                    awaits_.erase(last);
                }
                std::fputs("}}", out_);
                if (from != wakes_.end()) {
                    open(us, l, "f", "wake");
                    std::fprintf(out_, ",\"cat\":\"wake\",\"bp\":\"e\",\"id\":%zu}", from->second);
                    wakes_.erase(from);
                }
                open_runs_[l.thread] = true;
                break;
            }
            case kind::ended:
                if (!std::exchange(open_runs_[l.thread], false)) break; // it began before the trace did
                std::fprintf(out_, ",\n{\"ph\":\"E\",\"pid\":1,\"tid\":%ld,\"ts\":%.3f}", l.thread, us);
                break;
            case kind::woke:
                open(us, l, "s", "wake");
                std::fprintf(out_, ",\"cat\":\"wake\",\"id\":%zu}", ++last_wake_);
                wakes_[e.task] = last_wake_;
                break;
            case kind::awaits:
                awaits_[e.task] = &l.texts[e.text];
                open(us, l, "i", l.texts[e.text]);
                std::fprintf(out_, ",\"s\":\"t\",\"args\":{\"task\":\"%p\"}}", e.task);
                break;
        }
    }
    void finish(std::size_t dropped) {
        std::fprintf(out_, "\n],\"otherData\":{\"dropped\":\"%zu\"}}\n", dropped);
        const bool good = std::ferror(out_) == 0;
        if (std::fclose(std::exchange(out_, nullptr)) != 0 || !good) fail();
    }

private:
    [[noreturn]] void fail() const {
        throw std::system_error(errno, std::system_category(), "the trace cannot be written to " + name_);
    }
    void open(double us, const log& l, const char* ph, std::string_view name) {
        std::fprintf(out_, ",\n{\"ph\":\"%s\",\"pid\":1,\"tid\":%ld,\"ts\":%.3f,\"name\":", ph, l.thread, us);
        string(name);
    }
    void string(std::string_view text) {
        std::fputc('"', out_);
        for (const char c : text) {
            if (c == '"' || c == '\\') std::fprintf(out_, "\\%c", c);
            else if (static_cast<unsigned char>(c) < 0x20)
                std::fprintf(out_, "\\u%04x", static_cast<unsigned>(c));
            else std::fputc(c, out_);
        }
        std::fputc('"', out_);
    }
    std::string name_;
    std::FILE* out_;
    std::unordered_map<const void*, std::size_t> wakes_; // the last of each task that has not run since
    std::unordered_map<const void*, const std::string*> awaits_; // of the logs, which stay meanwhile
    std::unordered_map<long, bool> open_runs_;
    std::size_t last_wake_ = 0;
};

trace::summary sink::end(const std::string& file) {
    detail::trace_to.store(nullptr, std::memory_order_seq_cst);
    const std::lock_guard all(mutex_);
    on_ = false;
    trace::summary sum;
    sum.dropped = lost_.exchange(0, std::memory_order_relaxed);
    struct entry {
        const log* from;
        const event* what;
    };
    std::vector<entry> entries;
    for (const auto& l : logs_) {
        const detail::lock_guard guard(l->guard);
        l->on = false; // nobody writes to it from here on
        sum.dropped += l->dropped;
        for (const event& e : l->events) entries.push_back({l.get(), &e});
    }
    sum.events = entries.size();
    // Each log is in the order of its thread, which equal times keep.
    std::sort(entries.begin(), entries.end(), [](const entry& a, const entry& b) {
        if (a.what->at != b.what->at) return a.what->at < b.what->at;
        return a.from != b.from ? std::less<>()(a.from, b.from) : a.what < b.what;
    });
    writer out(file);
    for (const auto& l : logs_)
        if (!l->events.empty()) out.thread(*l);
    for (const entry& e : entries) out.one(*e.from, *e.what);
    out.finish(sum.dropped);
    for (const auto& l : logs_) {
        const detail::lock_guard guard(l->guard);
        l->reset(false);
        l->events.shrink_to_fit();
    }
    return sum;
}

} // namespace

trace::trace(std::string file) : file_(std::move(file)) { sink::get().begin(); }

trace::~trace() {
    try {
        (void)stop();
    } catch (const std::exception& e) {
        std::fprintf(stderr, "levada: %s\n", e.what());
    }
}

trace::summary trace::stop() {
    if (!std::exchange(on_, false)) return {};
    return sink::get().end(file_);
}

} // namespace levada::debug
