#include <levada/io/walk.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../loop/above_standard.hpp"

namespace levada {
namespace {

/// The entries of a directory. (`std::filesystem` would open it as a standard stream where that is closed.)
class listing {
public:
    listing(const std::string& path, std::error_code& error) {
        const int fd =
            detail::above_standard(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC));
        if (fd >= 0) folder_ = ::fdopendir(fd);
        error.clear();
        if (folder_) return;
        error.assign(errno, std::system_category());
        if (fd >= 0) ::close(fd);
    }
    ~listing() {
        if (folder_) ::closedir(folder_);
    }
    listing(const listing&) = delete;
    listing& operator=(const listing&) = delete;

    /// The next one, without those that every directory has; null at the end, or with an error.
    [[nodiscard]] const dirent* next(std::error_code& error) {
        for (;;) {
            errno = 0;
            const dirent* const entry = ::readdir(folder_);
            if (!entry && errno != 0) error.assign(errno, std::system_category());
            if (!entry || (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0))
                return entry;
        }
    }
    enum class kind { directory, file, other };
    /// A link to a file is a file; one to a directory is not followed.
    [[nodiscard]] kind kind_of(const dirent& entry) const {
        if (entry.d_type == DT_DIR) return kind::directory;
        if (entry.d_type == DT_REG) return kind::file;
        if (entry.d_type != DT_LNK && entry.d_type != DT_UNKNOWN) return kind::other;
        struct stat s{};
        if (::fstatat(::dirfd(folder_), entry.d_name, &s, AT_SYMLINK_NOFOLLOW) != 0) return kind::other;
        if (S_ISDIR(s.st_mode)) return kind::directory;
        if (S_ISLNK(s.st_mode) && ::fstatat(::dirfd(folder_), entry.d_name, &s, 0) != 0) return kind::other;
        return S_ISREG(s.st_mode) ? kind::file : kind::other;
    }

private:
    DIR* folder_ = nullptr;
};

} // namespace

task<result<void>> walk(std::string root, send_channel<walk_entry> out) {
    namespace fs = std::filesystem;
    std::error_code ec;
    const fs::file_status top = fs::status(root, ec);
    if (ec || !fs::is_directory(top)) {
        if (!ec && !fs::exists(top)) ec = std::make_error_code(std::errc::no_such_file_or_directory);
        co_return co_await out.emplace(std::move(root), ec);
    }
    std::vector<std::string> directories;
    directories.push_back(std::move(root));
    while (!directories.empty()) {
        const std::string directory = std::move(directories.back());
        directories.pop_back();
        listing entries(directory, ec);
        if (ec) {
            auto sent = co_await out.emplace(directory, ec);
            if (!sent) co_return fail(sent.error());
            continue;
        }
        std::vector<std::string> files;
        while (const dirent* const entry = entries.next(ec)) {
            const listing::kind kind = entries.kind_of(*entry);
            if (kind == listing::kind::other) continue;
            std::string path =
                directory.ends_with('/') ? directory + entry->d_name : directory + "/" + entry->d_name;
            (kind == listing::kind::directory ? directories : files).push_back(std::move(path));
        }
        std::sort(files.begin(), files.end());
        for (std::string& path : files) {
            auto sent = co_await out.emplace(std::move(path), std::error_code());
            if (!sent) co_return fail(sent.error());
        }
        if (ec) {
            auto sent = co_await out.emplace(directory, ec);
            if (!sent) co_return fail(sent.error());
        }
    }
    co_return result<void>();
}

} // namespace levada
