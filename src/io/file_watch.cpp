#include <levada/io/file_watch.hpp>

#include <sys/inotify.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include <levada/io/stream.hpp>
#include <levada/task/defer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/with_token.hpp>

#include "../loop/above_standard.hpp"

namespace levada {

// Between the one who adds watches and the task that reads.
struct detail::watched_names {
    explicit watched_names(descriptor fd) : stream(std::move(fd), false) {}
    byte_stream stream;
    std::mutex mutex; // guards what follows
    std::unordered_map<int, std::string> paths;
};

namespace {

using detail::watched_names;

constexpr std::pair<std::uint32_t, file_change> meanings[] = {
    {IN_MODIFY, file_change::modified},     {IN_CLOSE_WRITE, file_change::closed},
    {IN_CREATE, file_change::created},      {IN_MOVED_TO, file_change::created},
    {IN_DELETE, file_change::removed},      {IN_MOVED_FROM, file_change::removed},
    {IN_DELETE_SELF, file_change::removed}, {IN_MOVE_SELF, file_change::removed},
    {IN_ATTRIB, file_change::attributes},   {IN_Q_OVERFLOW, file_change::lost},
};

file_change meaning_of(std::uint32_t mask) noexcept {
    auto what = file_change{};
    for (const auto& [bit, meaning] : meanings)
        if ((mask & bit) != 0) what = what | meaning;
    return what;
}

/// The events in some bytes of the kernel's. (Not in the task: a frame cannot hold an inotify_event.)
std::vector<file_event> events_in(std::span<const char> bytes, watched_names& known) {
    std::vector<file_event> out;
    for (std::size_t at = 0; at < bytes.size();) {
        inotify_event head;
        std::memcpy(&head, bytes.data() + at, sizeof head);
        const char* const name = bytes.data() + at + sizeof head;
        at += sizeof head + head.len;
        std::string path;
        {
            const std::lock_guard guard(known.mutex);
            if (const auto found = known.paths.find(head.wd); found != known.paths.end()) {
                path = found->second;
                if ((head.mask & IN_IGNORED) != 0) known.paths.erase(found);
            }
        }
        const file_change what = meaning_of(head.mask);
        if (what != file_change{})
            out.emplace_back(std::move(path), std::string(name, ::strnlen(name, head.len)), what);
    }
    return out;
}

task<> read_events(std::shared_ptr<watched_names> from, send_channel<file_event> out) {
    std::vector<char> buffer(4096);
    for (;;) {
        auto n = co_await from->stream.read(std::span<char>(buffer));
        if (!n) {
            out.close(n.error());
            co_return;
        }
        std::vector<file_event> events = events_in({buffer.data(), *n}, *from);
        for (file_event& e : events) {
            auto sent = co_await out.send(std::move(e));
            if (!sent) co_return;
        }
    }
}

task<> pump(std::shared_ptr<watched_names> from, send_channel<file_event> out, cancel_token until) {
    const defer closed([out]() mutable noexcept { out.close(); });
    static_cast<void>(co_await with_token(until, read_events, from, out));
}

} // namespace

file_watch::file_watch(std::shared_ptr<watched_names> known, channel<file_event> events,
                       cancel_source ends) noexcept
    : names_(std::move(known)), events_(std::move(events)), pump_(std::move(ends)) {}

result<file_watch> file_watch::open() {
    descriptor fd(detail::above_standard(::inotify_init1(IN_CLOEXEC)));
    if (!fd) return detail::last_error();
    auto known = std::make_shared<watched_names>(std::move(fd));
    channel<file_event> events(16);
    cancel_source ends;
    go(pump, known, send_channel<file_event>(events), ends.token());
    return file_watch(std::move(known), std::move(events), std::move(ends));
}

result<void> file_watch::add(const std::string& path, file_change what) {
    std::uint32_t mask = 0;
    for (const auto& [bit, meaning] : meanings)
        if (includes_change(what, meaning) && bit != IN_Q_OVERFLOW) mask |= bit;
    const std::lock_guard guard(names_->mutex); // before its first event is read
    const int watch = ::inotify_add_watch(names_->stream.native_handle(), path.c_str(), mask);
    if (watch < 0) return detail::last_error();
    names_->paths[watch] = path;
    return {};
}

} // namespace levada
