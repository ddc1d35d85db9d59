/* The cases by plain system calls, one after the other on one thread: io_plain CASE COUNT FILE, or io_plain
   accept PORT. And the client of all that accept: io_plain connect PORT SECONDS. */

#define _GNU_SOURCE /* accept4 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

static void read_pages(const char* path, long count) {
    static char buffer[page_size];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    expect(fd < 0, 0, path);
    struct stat known;
    expect(fstat(fd, &known), 0, path);
    const uint64_t pages = (uint64_t)known.st_size / page_size;
    uint64_t random = 1;
    const struct moment begin = this_moment();
    for (; count > 0; --count) {
        const uint64_t page = next_page(&random, pages);
        expect(pread(fd, buffer, page_size, (off_t)(page * page_size)), page_size, "pread");
        expect_number(buffer, page);
    }
    print_since(begin);
}

/* Nobody ever waits here, as both ends are ours. */
static void pass_messages(uint64_t count, int timed) {
    char message[message_size] = {0};
    const struct timeval limit = {.tv_sec = timed};
    int ends[2];
    expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0, "socketpair");
    for (int i = 0; i < 2; ++i)
        expect(setsockopt(ends[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0, "SO_RCVTIMEO");
    const struct moment begin = this_moment();
    for (uint64_t number = 0; number < count; ++number) {
        set_number(message, number);
        expect(send(ends[number % 2], message, message_size, MSG_NOSIGNAL), message_size, "send");
        expect(recv(ends[1 - number % 2], message, message_size, 0), message_size, "recv");
        expect_number(message, number);
    }
    print_since(begin);
}

static void accept_all(const char* port) {
    const int listener = listen_on(port);
    say_listening();
    for (;;) {
        const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0) expect(client, 0, "accept4");
        close(client);
    }
}

/* Prints connections a second. Some are always under way, so that the server finds work, and never so many
   that its queue overflows. The server closes first, and we reset what is left, so that no port has to wait.
 */
static void connect_all(const char* port, double seconds) {
    enum { window = 64 };
    const struct sockaddr_in to = loopback(port);
    const struct linger reset = {.l_onoff = 1};
    int fds[window];
    struct moment begin = this_moment();
    const int64_t warm = begin.wall + (int64_t)(seconds * 0.2e9);
    int64_t end = INT64_MAX;
    uint64_t done = 0, before = 0;
    for (uint64_t n = 0;; ++n) {
        int* const fd = &fds[n % window];
        if (n >= window) {
            char byte;
            expect(recv(*fd, &byte, 1, 0), 0, "recv");
            close(*fd);
            ++done;
        }
        const struct moment at = this_moment();
        if (at.wall >= end) {
            printf("%.0f\n", (double)(done - before) * 1e9 / (double)(at.wall - begin.wall));
            return;
        }
        if (end == INT64_MAX && at.wall >= warm) {
            begin = at;
            before = done;
            end = at.wall + (int64_t)(seconds * 1e9);
        }
        *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        expect(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0, "SO_LINGER");
        expect(connect(*fd, (const struct sockaddr*)&to, sizeof to), 0, "connect");
    }
}

int main(int argc, char** argv) {
    const char* what = argc > 2 ? argv[1] : "";
    const long count = argc > 2 ? atol(argv[2]) : 0;
    if (!strcmp(what, "read") && argc == 4) read_pages(argv[3], count);
    else if (!strcmp(what, "message")) pass_messages((uint64_t)count, 0);
    else if (!strcmp(what, "message-timeout")) pass_messages((uint64_t)count, 1);
    else if (!strcmp(what, "accept")) accept_all(argv[2]);
    else if (!strcmp(what, "connect") && argc == 4) connect_all(argv[2], atof(argv[3]));
    else {
        fprintf(stderr, "Usage: io_plain read|message|message-timeout COUNT FILE, or accept PORT, "
                        "or connect PORT SECONDS\n");
        return 2;
    }
}
