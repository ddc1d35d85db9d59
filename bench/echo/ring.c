/* An echo server straight on liburing: multishot accept and receive, a ring of buffers, the flags that levada uses.
   echo_ring PORT. What it leaves out: errors beyond hanging up, timers, cancelling. */

#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { entries = 256, completions = 4096, buffers = 4096, size = 16 * 1024, group = 1 };
enum kind { accepting, receiving, sending };

static struct io_uring ring;
static struct io_uring_buf_ring* pool;
static char* memory;

static uint64_t tag(enum kind k, int fd, unsigned buffer) {
    return (uint64_t)k << 56 | (uint64_t)buffer << 32 | (uint32_t)fd;
}

static struct io_uring_sqe* entry(void) {
    struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    if (sqe) return sqe;
    io_uring_submit(&ring);
    return io_uring_get_sqe(&ring);
}

static void receive(int fd) {
    struct io_uring_sqe* sqe = entry();
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = group;
    io_uring_sqe_set_data64(sqe, tag(receiving, fd, 0));
}

static void give_back(unsigned buffer) {
    io_uring_buf_ring_add(pool, memory + (size_t)buffer * size, size, (unsigned short)buffer,
                          io_uring_buf_ring_mask(buffers), 0);
    io_uring_buf_ring_advance(pool, 1);
}

int main(int argc, char** argv) {
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "0"))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct io_uring_params params = {.cq_entries = completions};
    params.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                   IORING_SETUP_DEFER_TASKRUN;
    if (bind(listener, (struct sockaddr*)&at, sizeof at) || listen(listener, 4096) ||
        io_uring_queue_init_params(entries, &ring, &params)) {
        perror("echo_ring");
        return 1;
    }
    memory = malloc((size_t)buffers * size);
    if (posix_memalign((void**)&pool, 4096, buffers * sizeof(struct io_uring_buf))) return 1;
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)pool, .ring_entries = buffers, .bgid = group};
    if (io_uring_register_buf_ring(&ring, &reg, 0)) return 1;
    io_uring_buf_ring_init(pool);
    for (unsigned i = 0; i < buffers; ++i) give_back(i);

    struct io_uring_sqe* sqe = entry();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, tag(accepting, listener, 0));
    puts("listening");
    fflush(stdout);
    for (;;) {
        io_uring_submit_and_wait(&ring, 1);
        struct io_uring_cqe* cqe;
        unsigned head, n = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            ++n;
            const int fd = (int)(uint32_t)cqe->user_data;
            switch ((enum kind)(cqe->user_data >> 56)) {
                case accepting:
                    if (cqe->res < 0) break;
                    setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    receive(cqe->res);
                    break;
                case receiving:
                    if (cqe->res > 0) {
                        const unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
                        sqe = entry();
                        io_uring_prep_send(sqe, fd, memory + (size_t)buffer * size, (size_t)cqe->res,
                                           MSG_NOSIGNAL | MSG_WAITALL);
                        io_uring_sqe_set_data64(sqe, tag(sending, fd, buffer));
                        if (!(cqe->flags & IORING_CQE_F_MORE)) receive(fd);
                    } else if (cqe->res == -ENOBUFS) {
                        receive(fd);
                    } else {
                        close(fd);
                    }
                    break;
                case sending: give_back((unsigned)(cqe->user_data >> 32) & 0xffffff); break;
            }
        }
        io_uring_cq_advance(&ring, n);
    }
}
