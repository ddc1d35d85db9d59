#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <support.hpp>

/// A pipe for a test: read from `fd[0]`, write to `fd[1]`.
class pipe_ends {
public:
    pipe_ends() { REQUIRE(::pipe2(fd, O_CLOEXEC) == 0); }
    ~pipe_ends() {
        ::close(fd[0]);
        ::close(fd[1]);
    }
    int fd[2];
};
