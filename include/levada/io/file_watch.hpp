#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <levada/cancel/source.hpp>
#include <levada/channel/channel.hpp>
#include <levada/io/descriptor.hpp>

namespace levada {

namespace detail {
struct watched_names;
}

/// What happened to a file, or in a directory. The flags combine.
enum class file_change : std::uint32_t {
    modified = 1, ///< written to, or truncated
    closed = 2,   ///< closed after it was open for writing
    created = 4,  ///< a name appeared in a directory: made, or moved there
    removed = 8,  ///< a name went from a directory, or the watched file itself: removed, or moved away
    attributes = 16,
    lost = 32, ///< more happened than could be kept: look for yourself
};
[[nodiscard]] constexpr file_change operator|(file_change a, file_change b) noexcept {
    return static_cast<file_change>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
[[nodiscard]] constexpr bool includes_change(file_change all, file_change one) noexcept {
    return (static_cast<std::uint32_t>(all) & static_cast<std::uint32_t>(one)) != 0;
}

struct file_event {
    file_event() = default;
    file_event(std::string p, std::string n, file_change w) noexcept
        : path(std::move(p)), name(std::move(n)), what(w) {}
    std::string path; ///< as it was given to `add`
    std::string name; ///< in that directory; empty for the watched thing itself
    file_change what = file_change::lost;
};

/// Changes of files and directories (inotify) as a channel. Made by a task on a loop, and read from there: a
/// task of that loop fills the channel, and the kernel keeps what does not fit; what it cannot keep is told
/// as `lost`. Dropped, it ends, and closes the channel. Move-only.
class file_watch {
public:
    /// *Outcomes*: the system's code (`EMFILE`: fs.inotify.max_user_instances). Does not suspend.
    [[nodiscard]] static result<file_watch> open();
    /// Watches a file, or a directory and the names in it, but not what is below. Asked again for the same
    /// thing it changes what is watched. *Outcomes*: the system's code (`ENOENT`; `ENOSPC`:
    /// fs.inotify.max_user_watches).
    result<void> add(const std::string& path, file_change what = file_change::modified | file_change::closed |
                                                                 file_change::created | file_change::removed);
    [[nodiscard]] recv_channel<file_event> events() const noexcept { return events_; }

private:
    file_watch(std::shared_ptr<detail::watched_names> known, channel<file_event> events,
               cancel_source ends) noexcept;
    std::shared_ptr<detail::watched_names> names_;
    channel<file_event> events_;
    cancel_source pump_; // ends the task that reads
};

} // namespace levada
