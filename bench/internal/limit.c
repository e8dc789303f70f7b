// What a copy costs at least: a folder copied by the calls that have to be made, with modes and times, by as many threads
// as are asked for, and nothing that a crash could be survived by. `cc -O2 -pthread limit.c`; `limit THREADS FROM TO`.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (1 << 18)

struct folder { char *path; struct stat stat; };

static int from, to;
static struct folder *folders;
static size_t count, room;
static atomic_size_t next;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static long checked(long result, const char *what) {
  if (result < 0) fail(what);
  return result;
}

static int openFolder(int at, const char *path) {
  return checked(openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), path);
}

// Makes the folders, and remembers them.
static void walk(char *path) {
  if (count == room) folders = realloc(folders, (room = room ? 2 * room : 1024) * sizeof *folders);
  if (folders == NULL) fail("realloc");
  int at = openFolder(from, path);
  checked(fstat(at, &folders[count].stat), path);
  folders[count++].path = path;
  if (strcmp(path, ".") != 0) checked(mkdirat(to, path, 0700), path);
  DIR *listing = fdopendir(at);
  for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
    if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    char *below;
    checked(asprintf(&below, "%s/%s", path, entry->d_name), "asprintf");
    walk(below);
  }
  closedir(listing);
}

static void copyFile(int source, int target, const char *name, char *buffer) {
  struct stat stat;
  int in = checked(openat(source, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), name);
  checked(fstat(in, &stat), name);
  int out = checked(openat(target, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), name);
  if (stat.st_size > PIECE) {
    while (copy_file_range(in, NULL, out, NULL, 1 << 30, 0) > 0) {}
  }
  for (long length; (length = checked(read(in, buffer, PIECE), name)) > 0;) checked(write(out, buffer, length), name);
  // Whoever does not keep owner and group must not keep the bits either that lend their rights.
  mode_t kept = 07777 & ~(stat.st_uid == geteuid() ? 0 : S_ISUID) & ~(stat.st_gid == getegid() ? 0 : S_ISGID);
  checked(fchmod(out, stat.st_mode & kept), name);
  struct timespec times[2] = { stat.st_atim, stat.st_mtim };
  checked(futimens(out, times), name);
  checked(close(out), name);
  close(in);
}

static void copyLink(int source, int target, const char *name, char *buffer) {
  struct stat stat;
  checked(fstatat(source, name, &stat, AT_SYMLINK_NOFOLLOW), name);
  buffer[checked(readlinkat(source, name, buffer, PIECE - 1), name)] = 0;
  checked(symlinkat(buffer, target, name), name);
  struct timespec times[2] = { stat.st_atim, stat.st_mtim };
  checked(utimensat(target, name, times, AT_SYMLINK_NOFOLLOW), name);
}

// Takes one folder after the other, and copies what is in it.
static void *work(void *unused) {
  (void)unused;
  char *buffer = malloc(PIECE);
  for (size_t index; (index = atomic_fetch_add(&next, 1)) < count;) {
    int source = openFolder(from, folders[index].path), target = openFolder(to, folders[index].path);
    DIR *listing = fdopendir(source);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
      if (entry->d_type == DT_REG) copyFile(source, target, entry->d_name, buffer);
      else if (entry->d_type == DT_LNK) copyLink(source, target, entry->d_name, buffer);
    }
    closedir(listing);
    close(target);
  }
  free(buffer);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  from = openFolder(AT_FDCWD, argv[2]);
  checked(mkdir(argv[3], 0700), argv[3]);
  to = openFolder(AT_FDCWD, argv[3]);
  walk(".");
  int threads = atoi(argv[1]);
  pthread_t others[threads];
  for (int i = 1; i < threads; i++) pthread_create(&others[i], NULL, work, NULL);
  work(NULL);
  for (int i = 1; i < threads; i++) pthread_join(others[i], NULL);
  for (size_t index = count; index-- > 0;) {
    int folder = openFolder(to, folders[index].path);
    checked(fchmod(folder, folders[index].stat.st_mode & 07777), folders[index].path);
    struct timespec times[2] = { folders[index].stat.st_atim, folders[index].stat.st_mtim };
    checked(futimens(folder, times), folders[index].path);
    close(folder);
  }
  return 0;
}
