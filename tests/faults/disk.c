/* Stands between a program and its disk: writes down what is done to the files of one directory, and makes it fail.
 *
 * LD_PRELOAD it. EDGE_AGENT_DISK: the directory, no folders inside are looked at. EDGE_AGENT_DISK_LOG: each write,
 * truncation, sync, new name and lost name is appended there once it was done, as a record that tests/faults/disk.py
 * reads; a sync is written down before it is done, so that a cut during it can be tried too.
 * EDGE_AGENT_DISK_FAULT: while this file holds "ERRNO LETTERS", writes (w), syncs (s), syncs behind a page (p), syncs
 * of what is no log (d), new names (n) fail with ERRNO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct __attribute__((packed)) head {
    char what;         /* Write Truncate Sync Failed-sync Create Rename Link Unlink Directory-sync */
    uint16_t name;     /* bytes of the name, then as many of the data, follow */
    uint64_t at;
    uint32_t data;
};

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;
static size_t last_written; /* bytes: those of a page, or of a header in a log */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The name inside the directory, or none: a path elsewhere. */
static const char *inside(const char *path)
{
    const char *directory = getenv("EDGE_AGENT_DISK");
    size_t length;
    if (!directory || !path) return NULL;
    length = strlen(directory);
    if (strncmp(path, directory, length)) return NULL;
    if (!path[length]) return "";
    return path[length] == '/' && !strchr(path + length + 1, '/') ? path + length + 1 : NULL;
}

static const char *opened(int file, char *buffer, size_t size)
{
    char link[40];
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, buffer, size - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    if (length > 10 && !strcmp(buffer + length - 10, " (deleted)")) return NULL;
    return inside(buffer);
}

static int faulty(const char *name, char kind)
{
    const char *path = getenv("EDGE_AGENT_DISK_FAULT");
    char text[32] = "", letters[16] = "";
    int file, number = 0;
    if (!path || !name) return 0;
    file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (syscall(SYS_read, file, text, sizeof text - 1) < 0) text[0] = 0;
    syscall(SYS_close, file);
    if (sscanf(text, "%d %15s", &number, letters) != 2 || !strchr(letters, kind)) return 0;
    errno = number;
    return 1;
}

static void note(char what, const char *name, uint64_t at, const void *data, size_t size)
{
    const char *path = getenv("EDGE_AGENT_DISK_LOG");
    int before = errno;
    struct head head = {what, 0, at, (uint32_t)size};
    struct iovec parts[3];
    if (!path || !name) return;
    head.name = (uint16_t)strlen(name);
    parts[0] = (struct iovec){&head, sizeof head};
    parts[1] = (struct iovec){(void *)name, head.name};
    parts[2] = (struct iovec){(void *)data, size};
    pthread_mutex_lock(&guard);
    if (log_file < 0)
        log_file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (syscall(SYS_writev, log_file, parts, 3) < 0) abort();
    pthread_mutex_unlock(&guard);
    errno = before;
}

static ssize_t wrote(int file, const void *data, size_t size, off_t at, int is_placed)
{
    char buffer[4096];
    const char *name = opened(file, buffer, sizeof buffer);
    ssize_t done;
    if (faulty(name, 'w')) return -1;
    if (!is_placed && name) at = lseek(file, 0, SEEK_CUR);
    done = is_placed ? syscall(SYS_pwrite64, file, data, size, at) : syscall(SYS_write, file, data, size);
    if (done > 0) note('W', name, (uint64_t)at, data, (size_t)done);
    if (done > 0 && name) last_written = (size_t)done;
    return done;
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at) { return wrote(file, data, size, at, 1); }
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) { return wrote(file, data, size, at, 1); }
ssize_t write(int file, const void *data, size_t size) { return wrote(file, data, size, 0, 0); }
ssize_t sendfile64(int to, int from, off64_t *at, size_t size) { errno = ENOSYS; return -1; } /* so copies are writes */
ssize_t sendfile(int to, int from, off_t *at, size_t size) { errno = ENOSYS; return -1; }

static int cut(int file, off_t size)
{
    char buffer[4096];
    const char *name = opened(file, buffer, sizeof buffer);
    int result;
    if (faulty(name, 'w')) return -1;
    result = (int)syscall(SYS_ftruncate, file, size);
    if (!result) note('T', name, (uint64_t)size, NULL, 0);
    return result;
}

int ftruncate(int file, off_t size) { return cut(file, size); }
int ftruncate64(int file, off64_t size) { return cut(file, size); }

static int grown(int file, off_t at, off_t size)
{
    char buffer[4096];
    const char *name = opened(file, buffer, sizeof buffer);
    struct stat before;
    if (faulty(name, 'w')) return errno;
    if (fstat(file, &before) || syscall(SYS_fallocate, file, 0, at, size)) return errno;
    if (at + size > before.st_size) note('T', name, (uint64_t)(at + size), NULL, 0);
    return 0;
}

int posix_fallocate(int file, off_t at, off_t size) { return grown(file, at, size); }
int posix_fallocate64(int file, off64_t at, off64_t size) { return grown(file, at, size); }

static int synced(int file, long number)
{
    char buffer[4096];
    const char *name = opened(file, buffer, sizeof buffer);
    size_t length = name ? strlen(name) : 0;
    int is_log = length > 4 && !strcmp(name + length - 4, "-wal");
    if (faulty(name, 's') || (last_written >= 4096 && faulty(name, 'p')) || (!is_log && faulty(name, 'd'))) {
        int why = errno;
        note('F', name, 0, NULL, 0);
        errno = why;
        return -1;
    }
    note(name && !*name ? 'D' : 'S', name, 0, NULL, 0);
    return (int)syscall(number, file);
}

int fsync(int file) { return synced(file, SYS_fsync); }
int fdatasync(int file) { return synced(file, SYS_fdatasync); }

static int made(const char *path, int flags, mode_t mode)
{
    const char *name = inside(path);
    struct stat there;
    int is_new, file;
    if (!name || !(flags & (O_CREAT | O_TRUNC))) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    is_new = stat(path, &there) < 0;
    if (is_new && faulty(name, 'n')) return -1;
    file = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (file >= 0 && is_new) note('C', name, 0, NULL, 0);
    else if (file >= 0 && (flags & O_TRUNC)) note('T', name, 0, NULL, 0);
    return file;
}

#define OPEN(NAME)                                                     \
    int NAME(const char *path, int flags, ...)                         \
    {                                                                  \
        va_list more;                                                  \
        mode_t mode = 0;                                               \
        va_start(more, flags);                                         \
        if (flags & (O_CREAT | O_TMPFILE)) mode = va_arg(more, mode_t); \
        va_end(more);                                                  \
        return made(path, flags, mode);                                \
    }
OPEN(open)
OPEN(open64)

int rename(const char *from, const char *to)
{
    const char *name = inside(to);
    int result;
    if (faulty(name, 'n')) return -1;
    result = REAL(rename)(from, to);
    if (!result) note('R', inside(from), 0, name, name ? strlen(name) : 0);
    return result;
}

int link(const char *from, const char *to)
{
    const char *name = inside(to);
    int result;
    if (faulty(name, 'n')) return -1;
    result = REAL(link)(from, to);
    if (!result) note('L', inside(from), 0, name, name ? strlen(name) : 0);
    return result;
}

int linkat(int one, const char *from, int other, const char *to, int flags) { return link(from, to); }

int unlink(const char *path)
{
    int result;
    if (faulty(inside(path), 'n')) return -1;
    result = REAL(unlink)(path);
    if (!result) note('U', inside(path), 0, NULL, 0);
    return result;
}
