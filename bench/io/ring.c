/* The cases straight on liburing, with the flags that levada uses: io_ring CASE COUNT FILE, or io_ring accept
   PORT. What it leaves out: errors, which end it, and cancelling. */

#include <fcntl.h>
#include <liburing.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

enum { entries = 256, completions = 4096, most = 32 };
enum { timer = 1 << 16, sending = 1 << 17 }; /* in user_data, which is else the number of a slot or an end */

static struct io_uring ring;
static const struct __kernel_timespec limit = {.tv_sec = 1};

static struct io_uring_sqe* entry(void) {
    struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    if (sqe) return sqe;
    io_uring_submit(&ring);
    return io_uring_get_sqe(&ring);
}

static void add_timeout(struct io_uring_sqe* sqe) {
    sqe->flags |= IOSQE_IO_LINK;
    struct io_uring_sqe* timeout = entry();
    io_uring_prep_link_timeout(timeout, (struct __kernel_timespec*)&limit, 0);
    io_uring_sqe_set_data64(timeout, timer);
}

struct slot {
    uint64_t page;
    char buffer[page_size];
};
static struct slot slots[most];

static void read_page(int fd, unsigned i, uint64_t page, int timed) {
    struct io_uring_sqe* sqe = entry();
    slots[i].page = page;
    io_uring_prep_read(sqe, fd, slots[i].buffer, page_size, page * page_size);
    io_uring_sqe_set_data64(sqe, i);
    if (timed) add_timeout(sqe);
}

static void read_pages(const char* path, long count, unsigned depth, int timed) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    expect(fd < 0, 0, path);
    struct stat known;
    expect(fstat(fd, &known), 0, path);
    const uint64_t pages = (uint64_t)known.st_size / page_size;
    uint64_t random = 1;
    const struct moment begin = this_moment();
    for (unsigned i = 0; i < depth; ++i) read_page(fd, i, next_page(&random, pages), timed);
    for (long submitted = depth, done = 0; done < count;) {
        io_uring_submit_and_wait(&ring, 1);
        struct io_uring_cqe* cqe;
        unsigned head, n = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            ++n;
            if (cqe->user_data == timer) {
                expect(cqe->res, -ECANCELED, "timer");
                continue;
            }
            const unsigned i = (unsigned)cqe->user_data;
            expect(cqe->res, page_size, "read");
            expect_number(slots[i].buffer, slots[i].page);
            ++done;
            if (submitted++ < count) read_page(fd, i, next_page(&random, pages), timed);
        }
        io_uring_cq_advance(&ring, n);
    }
    print_since(begin);
}

struct end {
    int fd;
    char in[message_size], out[message_size];
};

static struct end ends[2];

static void receive(unsigned i, int timed) {
    struct io_uring_sqe* sqe = entry();
    io_uring_prep_recv(sqe, ends[i].fd, ends[i].in, message_size, 0);
    io_uring_sqe_set_data64(sqe, i);
    if (timed) add_timeout(sqe);
}

static void pass_on(unsigned i, uint64_t number) {
    struct io_uring_sqe* sqe = entry();
    set_number(ends[i].out, number);
    io_uring_prep_send(sqe, ends[i].fd, ends[i].out, message_size, MSG_NOSIGNAL);
    io_uring_sqe_set_data64(sqe, sending);
}

static void pass_messages(uint64_t count, int timed) {
    int fds[2];
    expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0, "socketpair");
    const struct moment begin = this_moment();
    for (unsigned i = 0; i < 2; ++i) {
        ends[i].fd = fds[i];
        receive(i, timed);
    }
    pass_on(0, 0);
    uint64_t number = 0;
    while (number < count) {
        io_uring_submit_and_wait(&ring, 1);
        struct io_uring_cqe* cqe;
        unsigned head, n = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            ++n;
            if (cqe->user_data == timer) {
                expect(cqe->res, -ECANCELED, "timer");
                continue;
            }
            expect(cqe->res, message_size, "message");
            if (cqe->user_data == sending) continue;
            const unsigned i = (unsigned)cqe->user_data;
            expect_number(ends[i].in, number++);
            pass_on(i, number);
            receive(i, timed);
        }
        io_uring_cq_advance(&ring, n);
    }
    print_since(begin);
}

static void accept_all(const char* port) {
    const int listener = listen_on(port);
    io_uring_prep_multishot_accept(entry(), listener, NULL, NULL, SOCK_CLOEXEC);
    say_listening();
    for (;;) {
        io_uring_submit_and_wait(&ring, 1);
        struct io_uring_cqe* cqe;
        unsigned head, n = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            ++n;
            if (cqe->res < 0) expect(cqe->res, 0, "accept or close");
            struct io_uring_sqe* sqe = entry();
            io_uring_prep_close(sqe, cqe->res);
            sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
            if (!(cqe->flags & IORING_CQE_F_MORE))
                io_uring_prep_multishot_accept(entry(), listener, NULL, NULL, SOCK_CLOEXEC);
        }
        io_uring_cq_advance(&ring, n);
    }
}

int main(int argc, char** argv) {
    struct io_uring_params params = {.cq_entries = completions};
    params.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                   IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    expect(io_uring_queue_init_params(entries, &ring, &params), 0, "io_uring");
    const char* what = argc > 2 ? argv[1] : "";
    const long count = argc > 2 ? atol(argv[2]) : 0;
    if (!strcmp(what, "read") && argc == 4) read_pages(argv[3], count, 1, 0);
    else if (!strcmp(what, "read-32") && argc == 4) read_pages(argv[3], count, most, 0);
    else if (!strcmp(what, "read-timeout") && argc == 4) read_pages(argv[3], count, 1, 1);
    else if (!strcmp(what, "message")) pass_messages((uint64_t)count, 0);
    else if (!strcmp(what, "message-timeout")) pass_messages((uint64_t)count, 1);
    else if (!strcmp(what, "accept")) accept_all(argv[2]);
    else {
        fprintf(stderr, "Usage: io_ring read|read-32|read-timeout|message|message-timeout COUNT FILE, "
                        "or accept PORT\n");
        return 2;
    }
}
