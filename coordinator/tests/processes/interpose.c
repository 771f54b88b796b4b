/* Loaded into a program under test (LD_PRELOAD): counts its calls that change what is on the disk,
 * in the order in which the whole process makes them, and at one of them kills the process, or lets
 * the call fail.
 *
 * strace can inject the same, but counts for each thread by itself, so that it cannot name "the
 * 17th call of this process".
 *
 *   COVEY_FAULT_ROOT  only calls about files below this folder count
 *   COVEY_FAULT_LOG   a file to which a line "number call path" is appended for each of them
 *   COVEY_FAULT_OF    only calls whose "call path" begins so are counted for the next one; all, if
 *                     it is not there
 *   COVEY_FAULT_AT    the number of the call at which something happens, from 1; 0 for never
 *   COVEY_FAULT_DO    kill-before, kill-after: the process, before or after the call is done
 *                     fail-before, fail-after: the call is told as failed; it was not done, or was
 *                     fail-on: as fail-before, and so is every later call
 *   COVEY_FAULT_ERRNO what a failing call is told
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum what { NOTHING, KILL_BEFORE, KILL_AFTER, FAIL_BEFORE, FAIL_AFTER, FAIL_ON };

static atomic_long calls, calls_of;
static const char *of;
static const char *root;
static size_t root_bytes;
static int log_file = -1;
static long at;
static enum what what;
static int error;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("COVEY_FAULT_AT");
    at = text ? atol(text) : 0;
    text = getenv("COVEY_FAULT_ERRNO");
    error = text ? atoi(text) : EIO;
    text = getenv("COVEY_FAULT_DO");
    if (text) {
        const char *names[] = {"", "kill-before", "kill-after", "fail-before", "fail-after", "fail-on"};
        for (int i = 1; i < 6; i++)
            if (strcmp(text, names[i]) == 0) what = (enum what)i;
    }
    text = getenv("COVEY_FAULT_LOG");
    if (text) log_file = (int)syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    of = getenv("COVEY_FAULT_OF");
    const char *folder = getenv("COVEY_FAULT_ROOT");
    if (folder) {
        root_bytes = strlen(folder);
        root = folder;
    }
}

/* The number of a call that counts for COVEY_FAULT_AT; 0 for others. */
static long number_of(const char *call, const char *path) {
    if (!root || strncmp(path, root, root_bytes) != 0) return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    char line[PATH_MAX + 64];
    int bytes = snprintf(line, sizeof line, "%ld %s %s\n", number, call, path + root_bytes);
    if (bytes <= 0) return number;
    if (log_file >= 0) syscall(SYS_write, log_file, line, (size_t)bytes);
    if (!of) return number;
    const char *said = strchr(line, ' ') + 1;
    return strncmp(said, of, strlen(of)) == 0 ? atomic_fetch_add(&calls_of, 1) + 1 : 0;
}

static long number_of_file(const char *call, int file) {
    char link[64], path[PATH_MAX];
    if (!root) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t bytes = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (bytes <= 0) return 0;
    path[bytes] = 0;
    return number_of(call, path);
}

static long number_in(const char *call, int folder, const char *name) {
    if (name[0] == '/' || folder == AT_FDCWD) return number_of(call, name);
    return number_of_file(call, folder);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Whether the call is told as failed without being done. */
static int before(long number) {
    if (!number || !at) return 0;
    if (number == at && what == KILL_BEFORE) die();
    if ((number == at && what == FAIL_BEFORE) || (number >= at && what == FAIL_ON)) {
        errno = error;
        return 1;
    }
    return 0;
}

/* Whether the call, which was done, is told as failed. */
static int after(long number) {
    if (!number || number != at) return 0;
    if (what == KILL_AFTER) die();
    if (what != FAIL_AFTER) return 0;
    errno = error;
    return 1;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define CALL(number, done) \
    long counted = number; \
    if (before(counted)) return -1; \
    __typeof__(done) result = done; \
    if (result >= 0 && after(counted)) return -1; \
    return result

int fsync(int file) {
    REAL(fsync);
    CALL(number_of_file("fsync", file), real(file));
}

int fdatasync(int file) {
    REAL(fdatasync);
    CALL(number_of_file("fdatasync", file), real(file));
}

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(write);
    CALL(number_of_file("write", file), real(file, bytes, count));
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(writev);
    CALL(number_of_file("writev", file), real(file, parts, count));
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    REAL(pwrite);
    CALL(number_of_file("pwrite", file), real(file, bytes, count, offset));
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    REAL(pwrite64);
    CALL(number_of_file("pwrite", file), real(file, bytes, count, offset));
}

int ftruncate(int file, off_t bytes) {
    REAL(ftruncate);
    CALL(number_of_file("ftruncate", file), real(file, bytes));
}

int ftruncate64(int file, off64_t bytes) {
    REAL(ftruncate64);
    CALL(number_of_file("ftruncate", file), real(file, bytes));
}

int rename(const char *from, const char *to) {
    REAL(rename);
    CALL(number_of("rename", to), real(from, to));
}

int renameat(int from_in, const char *from, int to_in, const char *to) {
    REAL(renameat);
    CALL(number_in("rename", to_in, to), real(from_in, from, to_in, to));
}

int link(const char *from, const char *to) {
    REAL(link);
    CALL(number_of("link", to), real(from, to));
}

int linkat(int from_in, const char *from, int to_in, const char *to, int flags) {
    REAL(linkat);
    CALL(number_in("link", to_in, to), real(from_in, from, to_in, to, flags));
}

int unlink(const char *path) {
    REAL(unlink);
    CALL(number_of("unlink", path), real(path));
}

int unlinkat(int folder, const char *name, int flags) {
    REAL(unlinkat);
    CALL(number_in("unlink", folder, name), real(folder, name, flags));
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    CALL(number_of("mkdir", path), real(path, mode));
}

/* Only what makes a file. */
static int opens_new(const char *path, int flags) {
    return (flags & O_CREAT) && access(path, F_OK) != 0;
}

int open(const char *path, int flags, ...) {
    REAL(open);
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (!opens_new(path, flags)) return real(path, flags, mode);
    CALL(number_of("create", path), real(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
    REAL(open64);
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (!opens_new(path, flags)) return real(path, flags, mode);
    CALL(number_of("create", path), real(path, flags, mode));
}
