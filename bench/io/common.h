/* What the three programs share, in C and in C++. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { page_size = 4096, message_size = 64 };

static inline void expect(int64_t got, int64_t due, const char* what) {
    if (got == due) return;
    fprintf(stderr, "%s: %" PRId64 " where %" PRId64 " was due (%s)\n", what, got, due, strerror(errno));
    exit(1);
}

/* A page of the file, and a message, begins with its number. */
static inline void expect_number(const char* bytes, uint64_t due) {
    uint64_t got;
    memcpy(&got, bytes, sizeof got);
    if (got == due) return;
    fprintf(stderr, "number %" PRIu64 " where %" PRIu64 " was due\n", got, due);
    exit(1);
}

static inline void set_number(char* bytes, uint64_t number) { memcpy(bytes, &number, sizeof number); }

/* One of as many pages, at random. `state` is anything but 0. */
static inline uint64_t next_page(uint64_t* state, uint64_t pages) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % pages;
}

struct moment {
    int64_t wall, cpu; /* ns */
};

static inline struct moment this_moment(void) {
    struct timespec wall, cpu;
    clock_gettime(CLOCK_MONOTONIC, &wall);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    struct moment m = {wall.tv_sec * 1000000000 + wall.tv_nsec, cpu.tv_sec * 1000000000 + cpu.tv_nsec};
    return m;
}

/* Prints the ns that passed, and those of processor time. */
static inline void print_since(struct moment begin) {
    const struct moment end = this_moment();
    printf("%" PRId64 " %" PRId64 "\n", end.wall - begin.wall, end.cpu - begin.cpu);
}

static inline void say_listening(void) {
    puts("listening");
    fflush(stdout);
}

#ifndef __cplusplus
static inline struct sockaddr_in loopback(const char* port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

/* What is accepted inherits TCP_NODELAY, which levada's connections have too. */
static inline int listen_on(const char* port) {
    const struct sockaddr_in at = loopback(port);
    const int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0, "SO_REUSEADDR");
    expect(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0, "TCP_NODELAY");
    expect(bind(fd, (const struct sockaddr*)&at, sizeof at), 0, "bind");
    expect(listen(fd, 1024), 0, "listen");
    return fd;
}
#endif
