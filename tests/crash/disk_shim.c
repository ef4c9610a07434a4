/* A disk that remembers, lies, hesitates or is full: an LD_PRELOAD layer below one directory.
 *
 * Built and fed by tests/crash/shim.py; what it writes is read by tests/crash/journal.py. From the environment:
 *
 *   DISK_SHIM_ROOT     absolute, real path of the directory that is watched
 *   DISK_SHIM_CONTROL  a file of one page, shared by all processes: a lock and the switches below
 *   DISK_SHIM_JOURNAL  every change below the root is appended here, in the one order in which it happened;
 *                      empty: nothing is
 *
 * INVARIANT (order): a change and its entry are one step for all processes, under the lock. A sync has two entries:
 * what was changed before the first of them is on the disk when the second stands there. An answer has its entry
 * before its first byte is sent: a power cut after that entry may have let it out.
 *
 * What it cannot follow on a watched file (mmap, sendfile, io_uring, dup) it does not see. The code under test
 * does none of it there; sendfile and copy_file_range abort, so that this stays true.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 4096
#define JOURNAL_FD 900  /* out of the way of whoever closes low numbers */
#define ANSWER_MAX 65536

struct control {
    _Atomic int32_t ready;      /* 0 new, 1 being made, 2 there */
    int32_t padding;
    _Atomic int64_t sync_us;    /* each sync takes this much longer */
    _Atomic int64_t real_sync;  /* 0: the kernel is not asked, only the journal counts */
    _Atomic int64_t lie;        /* 1: a sync says it was done, and was not */
    _Atomic int64_t room;       /* bytes that may still be written; negative: as many as there are */
    _Atomic int64_t sync_fault; /* errno of every sync, 0: none */
    _Atomic int64_t syncs;      /* counted */
    pthread_mutex_t lock;
};

struct entry {
    uint8_t op;
    uint8_t flag;
    uint16_t path_len;
    uint32_t data_len;
    uint64_t inode;
    uint64_t offset;
    uint64_t token;
};

static struct control *control;
static char root[PATH_MAX];
static size_t root_len;
static int journal = -1;
static pid_t self;
static uint8_t watched[MAX_FD];
static _Atomic uint32_t syncs_begun;

#define REAL(name, type, ...) static type (*real_##name)(__VA_ARGS__)
REAL(open, int, const char *, int, ...);
REAL(openat, int, int, const char *, int, ...);
REAL(close, int, int);
REAL(write, ssize_t, int, const void *, size_t);
REAL(pwrite, ssize_t, int, const void *, size_t, off_t);
REAL(writev, ssize_t, int, const struct iovec *, int);
REAL(send, ssize_t, int, const void *, size_t, int);
REAL(sendmsg, ssize_t, int, const struct msghdr *, int);
REAL(fsync, int, int);
REAL(fdatasync, int, int);
REAL(ftruncate, int, int, off_t);
REAL(truncate, int, const char *, off_t);
REAL(rename, int, const char *, const char *);
REAL(renameat, int, int, const char *, int, const char *);
REAL(link, int, const char *, const char *);
REAL(unlink, int, const char *);
REAL(unlinkat, int, int, const char *, int);
REAL(mkdir, int, const char *, mode_t);
REAL(mkdirat, int, int, const char *, mode_t);
REAL(rmdir, int, const char *);

static void die(const char *why) {
    fprintf(stderr, "disk shim: %s\n", why);
    _exit(99);
}

static void after_fork(void) { self = getpid(); }

__attribute__((constructor)) static void begin(void) {
#define FIND(name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)
    FIND(open); FIND(openat); FIND(close); FIND(write); FIND(pwrite); FIND(writev); FIND(send); FIND(sendmsg);
    FIND(fsync); FIND(fdatasync); FIND(ftruncate); FIND(truncate); FIND(rename); FIND(renameat); FIND(link);
    FIND(unlink); FIND(unlinkat); FIND(mkdir); FIND(mkdirat); FIND(rmdir);
    self = getpid();
    pthread_atfork(NULL, NULL, after_fork);
    const char *place = getenv("DISK_SHIM_ROOT"), *page = getenv("DISK_SHIM_CONTROL"), *log = getenv("DISK_SHIM_JOURNAL");
    if (!place || !page || strlen(place) >= sizeof root) return;
    int fd = real_open(page, O_RDWR | O_CLOEXEC);
    if (fd < 0) die("no control page");
    struct control *found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    real_close(fd);
    if (found == MAP_FAILED) die("the control page cannot be mapped");
    int32_t fresh = 0;
    if (atomic_compare_exchange_strong(&found->ready, &fresh, 1)) {
        pthread_mutexattr_t kind;
        pthread_mutexattr_init(&kind);
        pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&found->lock, &kind);
        atomic_store(&found->ready, 2);
    }
    while (atomic_load(&found->ready) != 2) sched_yield();
    if (log && *log) {
        fd = real_open(log, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (fd < 0) die("no journal");
        journal = fcntl(fd, F_DUPFD_CLOEXEC, JOURNAL_FD);
        real_close(fd);
        if (journal < 0) die("no descriptor for the journal");
    }
    strcpy(root, place);
    root_len = strlen(root);
    control = found;
}

static void lock(void) {
    if (pthread_mutex_lock(&control->lock) == EOWNERDEAD) pthread_mutex_consistent(&control->lock);
}

static void unlock(void) { pthread_mutex_unlock(&control->lock); }

static void put(uint8_t op, uint8_t flag, const char *path, const void *data, size_t len, uint64_t inode,
                uint64_t offset, uint64_t token) {
    if (journal < 0) return;
    struct entry head = {op, flag, path ? strlen(path) : 0, len, inode, offset, token};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)(path ? path : ""), head.path_len}, {(void *)data, len}};
    ssize_t whole = sizeof head + head.path_len + len;
    if (real_writev(journal, parts, 3) != whole) die("the journal takes no more");
}

/* The path below the root, "." for the root itself; NULL for any other. */
static const char *below(int at, const char *path, char *room) {
    if (!control || !path) return NULL;
    if (path[0] == '/') {
        if (strlen(path) >= PATH_MAX) return NULL;
        strcpy(room, path);
    } else {
        char base[PATH_MAX];
        if (at == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return NULL;
        } else {
            char link_name[64];
            snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", at);
            ssize_t n = readlink(link_name, base, sizeof base - 1);
            if (n < 0) return NULL;
            base[n] = 0;
        }
        if (snprintf(room, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return NULL;
    }
    if (strncmp(room, root, root_len)) return NULL;
    if (room[root_len] == 0) return ".";
    if (room[root_len] != '/') return NULL;
    if (strstr(room + root_len, "/../") || strstr(room + root_len, "//")) die("a path with dots");
    return room + root_len + 1;
}

static int is_watched(int fd) { return control && fd >= 0 && fd < MAX_FD && watched[fd]; }

static uint64_t inode_of(int fd) {
    struct stat facts;
    return fstat(fd, &facts) ? 0 : facts.st_ino;
}

/* -- opening and closing -------------------------------------------------------------------------- */

static int opened(int at, const char *path, int flags, mode_t mode) {
    char room[PATH_MAX];
    const char *name = below(at, path, room);
    if (!name) return real_openat(at, path, flags, mode);
    if ((flags & O_TMPFILE) == O_TMPFILE) die("O_TMPFILE");
    struct stat facts;
    lock();
    int there = !lstat(room, &facts);
    if (!there && (flags & O_CREAT) && atomic_load(&control->room) == 0) {
        unlock();
        errno = ENOSPC;
        return -1;
    }
    int fd = real_openat(at, path, flags, mode);
    int fault = errno;
    if (fd >= 0 && fd < MAX_FD && !fstat(fd, &facts) && (S_ISREG(facts.st_mode) || S_ISDIR(facts.st_mode))) {
        if (!there) put('C', 0, name, NULL, 0, facts.st_ino, 0, 0);
        else if (flags & O_TRUNC) put('T', 0, NULL, NULL, 0, facts.st_ino, 0, 0);
        if (getpid() == self) watched[fd] = 1;
    } else if (fd >= MAX_FD) {
        die("too many descriptors");
    }
    unlock();
    errno = fault;
    return fd;
}

static mode_t mode_in(int flags, va_list rest) { return flags & O_CREAT ? va_arg(rest, mode_t) : 0; }

#define OPEN(name)                                                       \
    int name(const char *path, int flags, ...) {                         \
        va_list rest;                                                    \
        va_start(rest, flags);                                           \
        mode_t mode = mode_in(flags, rest);                              \
        va_end(rest);                                                    \
        return opened(AT_FDCWD, path, flags, mode);                      \
    }
#define OPENAT(name)                                                     \
    int name(int at, const char *path, int flags, ...) {                 \
        va_list rest;                                                    \
        va_start(rest, flags);                                           \
        mode_t mode = mode_in(flags, rest);                              \
        va_end(rest);                                                    \
        return opened(at, path, flags, mode);                            \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
/* What a fortified build calls where no file may be made. */
int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char *path, int flags) { return opened(at, path, flags, 0); }
int __openat64_2(int at, const char *path, int flags) { return opened(at, path, flags, 0); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
    /* Between vfork and exec a child shares this memory: what it closes stays open here. */
    if (is_watched(fd) && getpid() == self) watched[fd] = 0;
    if (fd == journal && journal >= 0 && getpid() == self) return 0;
    return real_close(fd);
}

/* -- content -------------------------------------------------------------------------------------- */

/* How much of `len` there is room for; -1 where there is none. Under the lock. */
static ssize_t taken(size_t len) {
    int64_t left = atomic_load(&control->room);
    if (left < 0) return len;
    if (left == 0 && len) return -1;
    return (int64_t)len < left ? (ssize_t)len : left;
}

static void used(ssize_t n) {
    if (n > 0 && atomic_load(&control->room) >= 0) atomic_fetch_sub(&control->room, n);
}

static ssize_t written(int fd, const void *data, size_t len, off_t at) {
    lock();
    ssize_t room = taken(len);
    if (room < 0) {
        unlock();
        errno = ENOSPC;
        return -1;
    }
    ssize_t n = at < 0 ? real_write(fd, data, room) : real_pwrite(fd, data, room, at);
    int fault = errno;
    if (n > 0) {
        off_t start = at >= 0 ? at : lseek(fd, 0, SEEK_CUR) - n;
        put('W', 0, NULL, data, n, inode_of(fd), start, 0);
        used(n);
    }
    unlock();
    errno = fault;
    return n;
}

/* An answer that leaves: the status line of an HTTP server, or a line that begins with `+`. */
static void told(int fd, const void *data, size_t len) {
    if (!control || journal < 0 || len < 9) return;
    if (memcmp(data, "HTTP/1.1 ", 9) && *(const char *)data != '+') return;
    struct stat facts;
    if (fstat(fd, &facts) || !S_ISSOCK(facts.st_mode)) return;
    lock();
    put('S', 0, NULL, data, len < ANSWER_MAX ? len : ANSWER_MAX, 0, 0, 0);
    unlock();
}

static void told_parts(int fd, const struct iovec *parts, int count) {
    if (!control || journal < 0 || count < 1 || parts[0].iov_len < 9) return;
    if (memcmp(parts[0].iov_base, "HTTP/1.1 ", 9)) return;
    char *whole = malloc(ANSWER_MAX);
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        size_t n = parts[i].iov_len < ANSWER_MAX - len ? parts[i].iov_len : ANSWER_MAX - len;
        memcpy(whole + len, parts[i].iov_base, n);
        len += n;
    }
    told(fd, whole, len);
    free(whole);
}

ssize_t write(int fd, const void *data, size_t len) {
    if (is_watched(fd)) return written(fd, data, len, -1);
    told(fd, data, len);
    return real_write(fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) {
    return is_watched(fd) ? written(fd, data, len, at) : real_pwrite(fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) { return pwrite(fd, data, len, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (is_watched(fd)) {
        ssize_t sum = 0;
        for (int i = 0; i < count; i++) {
            if (!parts[i].iov_len) continue;
            ssize_t n = written(fd, parts[i].iov_base, parts[i].iov_len, -1);
            if (n < 0) return sum ? sum : n;
            sum += n;
            if ((size_t)n < parts[i].iov_len) break;
        }
        return sum;
    }
    told_parts(fd, parts, count);
    return real_writev(fd, parts, count);
}

ssize_t send(int fd, const void *data, size_t len, int flags) {
    told(fd, data, len);
    return real_send(fd, data, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    told_parts(fd, message->msg_iov, message->msg_iovlen);
    return real_sendmsg(fd, message, flags);
}

ssize_t sendfile(int out, int in, off_t *at, size_t len) {
    (void)in, (void)at, (void)len;
    if (is_watched(out)) die("sendfile");
    errno = EINVAL; /* whoever asks then copies by hand */
    return -1;
}

ssize_t sendfile64(int out, int in, off_t *at, size_t len) { return sendfile(out, in, at, len); }

ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t len, unsigned flags) {
    (void)in, (void)from, (void)to, (void)len, (void)flags;
    if (is_watched(out)) die("copy_file_range");
    errno = EINVAL;
    return -1;
}

int ftruncate(int fd, off_t len) {
    if (!is_watched(fd)) return real_ftruncate(fd, len);
    lock();
    int done = real_ftruncate(fd, len);
    if (!done) put('T', 0, NULL, NULL, 0, inode_of(fd), len, 0);
    unlock();
    return done;
}

int ftruncate64(int fd, off_t len) { return ftruncate(fd, len); }

int truncate(const char *path, off_t len) {
    char room[PATH_MAX];
    struct stat facts;
    if (!below(AT_FDCWD, path, room)) return real_truncate(path, len);
    lock();
    int done = real_truncate(path, len);
    if (!done && !lstat(room, &facts)) put('T', 0, NULL, NULL, 0, facts.st_ino, len, 0);
    unlock();
    return done;
}

int truncate64(const char *path, off_t len) { return truncate(path, len); }

/* -- syncs ---------------------------------------------------------------------------------------- */

static int synced(int fd, int (*sync)(int)) {
    if (!is_watched(fd)) return sync(fd);
    uint64_t token = (uint64_t)self << 32 | atomic_fetch_add(&syncs_begun, 1), inode = inode_of(fd);
    int lie = atomic_load(&control->lie), done = 0;
    atomic_fetch_add(&control->syncs, 1);
    if (!lie) {
        lock();
        put('F', 0, NULL, NULL, 0, inode, 0, token);
        unlock();
    }
    int64_t wait_us = atomic_load(&control->sync_us);
    if (wait_us > 0) {
        struct timespec span = {wait_us / 1000000, wait_us % 1000000 * 1000};
        nanosleep(&span, NULL);
    }
    int64_t fault = atomic_load(&control->sync_fault);
    if (fault) {
        errno = (int)fault;
        return -1;
    }
    if (atomic_load(&control->real_sync)) done = sync(fd);
    if (!lie && !done) {
        lock();
        put('f', 0, NULL, NULL, 0, inode, 0, token);
        unlock();
    }
    return done;
}

int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

/* -- room ----------------------------------------------------------------------------------------- */

int statvfs(const char *path, struct statvfs *facts) {
    static int (*real)(const char *, struct statvfs *);
    char room[PATH_MAX];
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "statvfs");
    int done = real(path, facts);
    int64_t left = below(AT_FDCWD, path, room) ? atomic_load(&control->room) : -1;
    if (!done && left >= 0) facts->f_bavail = left / facts->f_frsize;
    return done;
}

int statvfs64(const char *path, struct statvfs64 *facts) { return statvfs(path, (struct statvfs *)facts); }

/* -- names ---------------------------------------------------------------------------------------- */

static uint64_t inode_at(const char *path) {
    struct stat facts;
    return lstat(path, &facts) ? 0 : facts.st_ino;
}

/* `data` of a rename or a link is the new name. */
static int renamed(int from, const char *old, int to, const char *new) {
    char room[PATH_MAX], other[PATH_MAX];
    const char *before = below(from, old, room), *after = below(to, new, other);
    if (!before && !after) return real_renameat(from, old, to, new);
    if (!before || !after) die("a rename into or out of the watched directory");
    lock();
    uint64_t inode = inode_at(room);
    int done = real_renameat(from, old, to, new);
    int fault = errno;
    if (!done) put('R', 0, before, after, strlen(after), inode, 0, 0);
    unlock();
    errno = fault;
    return done;
}

int rename(const char *old, const char *new) { return renamed(AT_FDCWD, old, AT_FDCWD, new); }
int renameat(int from, const char *old, int to, const char *new) { return renamed(from, old, to, new); }
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    if (flags) die("renameat2 with flags");
    return renamed(from, old, to, new);
}

int link(const char *old, const char *new) {
    char room[PATH_MAX], other[PATH_MAX];
    const char *before = below(AT_FDCWD, old, room), *after = below(AT_FDCWD, new, other);
    if (!after) return real_link(old, new);
    if (!before) die("a link into the watched directory");
    lock();
    int done = real_link(old, new);
    int fault = errno;
    if (!done) put('L', 0, before, after, strlen(after), inode_at(room), 0, 0);
    unlock();
    errno = fault;
    return done;
}

int linkat(int from, const char *old, int to, const char *new, int flags) {
    (void)flags;
    if (from != AT_FDCWD || to != AT_FDCWD) die("linkat");
    return link(old, new);
}

static int removed(int at, const char *path, int flags) {
    char room[PATH_MAX];
    const char *name = below(at, path, room);
    if (!name) return real_unlinkat(at, path, flags);
    lock();
    uint64_t inode = inode_at(room);
    int done = real_unlinkat(at, path, flags);
    int fault = errno;
    if (!done) put('U', 0, name, NULL, 0, inode, 0, 0);
    unlock();
    errno = fault;
    return done;
}

int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return removed(at, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    struct stat facts;
    return removed(AT_FDCWD, path, !lstat(path, &facts) && S_ISDIR(facts.st_mode) ? AT_REMOVEDIR : 0);
}

static int made(int at, const char *path, mode_t mode) {
    char room[PATH_MAX];
    const char *name = below(at, path, room);
    if (!name || !strcmp(name, ".")) return real_mkdirat(at, path, mode);
    lock();
    int done = real_mkdirat(at, path, mode);
    int fault = errno;
    if (!done) put('D', 0, name, NULL, 0, inode_at(room), 0, 0);
    unlock();
    errno = fault;
    return done;
}

int mkdir(const char *path, mode_t mode) { return made(AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return made(at, path, mode); }
