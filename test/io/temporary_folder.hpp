#pragma once

#include <support.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace test_support {

/// A folder for one test, which goes with all that is in it.
class folder {
public:
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "levada_XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()));
        path = name;
    }
    ~folder() { std::filesystem::remove_all(path); }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    [[nodiscard]] std::string operator/(const char* name) const { return (path / name).string(); }
    std::filesystem::path path;
};

} // namespace test_support
