#include <levada/io/walk.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace levada {

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
        fs::directory_iterator entries(directory, ec);
        if (ec) {
            auto sent = co_await out.emplace(directory, ec);
            if (!sent) co_return fail(sent.error());
            continue;
        }
        std::vector<std::string> files;
        for (const fs::directory_iterator end; entries != end; entries.increment(ec)) {
            std::error_code unknown;
            const fs::directory_entry& entry = *entries;
            if (entry.is_directory(unknown) && !entry.is_symlink(unknown))
                directories.push_back(entry.path().string());
            else if (entry.is_regular_file(unknown)) files.push_back(entry.path().string());
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
