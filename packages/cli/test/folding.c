/* Has the C library take names below FOLDED for one that differ in case only, as they were first given. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

/* The path of what a name in a folder is for, with each name below the root as it is listed. */
static const char *fold(int folder, const char *name, char *into) {
  char path[PATH_MAX], link[64];
  const char *root = getenv("FOLDED");
  if (!root || !name || !*name || !strcmp(name, ".") || !strncmp(name, "/proc/", 6)) return name;
  if (*name == '/') snprintf(path, sizeof path, "%s", name);
  else {
    ssize_t length;
    if (folder == AT_FDCWD) return name;
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    if ((length = readlink(link, path, sizeof path - 1)) < 0) return name;
    snprintf(path + length, sizeof path - length, "/%s", name);
  }
  size_t length = strlen(root);
  if (strncmp(path, root, length) || path[length] != '/') return name;
  snprintf(into, PATH_MAX, "%s", root);
  char *at = path + length + 1, *state = NULL;
  for (char *part = strtok_r(at, "/", &state); part; part = strtok_r(NULL, "/", &state)) {
    DIR *listing = opendir(into);
    const char *spelled = part;
    struct dirent *entry;
    if (listing) while ((entry = readdir(listing))) if (!strcasecmp(entry->d_name, part)) { spelled = entry->d_name; break; }
    strcat(into, "/");
    strcat(into, spelled);
    if (listing) closedir(listing);
  }
  return into;
}

int openat(int folder, const char *name, int flags, ...) {
  REAL(openat);
  va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest);
  char into[PATH_MAX];
  return real(folder, fold(folder, name, into), flags, mode);
}
int statx(int folder, const char *restrict name, int flags, unsigned mask, struct statx *restrict found) {
  REAL(statx); char into[PATH_MAX];
  return real(folder, fold(folder, name, into), flags, mask, found);
}
ssize_t readlinkat(int folder, const char *restrict name, char *restrict target, size_t size) {
  REAL(readlinkat); char into[PATH_MAX];
  return real(folder, fold(folder, name, into), target, size);
}
int fchownat(int folder, const char *name, uid_t owner, gid_t group, int flags) {
  REAL(fchownat); char into[PATH_MAX];
  return real(folder, fold(folder, name, into), owner, group, flags);
}
int utimensat(int folder, const char *name, const struct timespec times[2], int flags) {
  REAL(utimensat); char into[PATH_MAX];
  return real(folder, fold(folder, name, into), times, flags);
}
int mkdirat(int folder, const char *name, mode_t mode) {
  REAL(mkdirat); char into[PATH_MAX];
  return real(folder, fold(folder, name, into), mode);
}
int symlinkat(const char *target, int folder, const char *name) {
  REAL(symlinkat); char into[PATH_MAX];
  return real(target, folder, fold(folder, name, into));
}
int unlinkat(int folder, const char *name, int flags) {
  REAL(unlinkat); char into[PATH_MAX];
  return real(folder, fold(folder, name, into), flags);
}
int renameat(int from, const char *old, int to, const char *name) {
  REAL(renameat); char into[2][PATH_MAX];
  return real(from, fold(from, old, into[0]), to, fold(to, name, into[1]));
}
int linkat(int from, const char *old, int to, const char *name, int flags) {
  REAL(linkat); char into[2][PATH_MAX];
  return real(from, fold(from, old, into[0]), to, fold(to, name, into[1]), flags);
}
int renameat2(int from, const char *old, int to, const char *name, unsigned flags) {
  REAL(renameat2); char into[2][PATH_MAX];
  return real(from, fold(from, old, into[0]), to, fold(to, name, into[1]), flags);
}
long syscall(long number, ...) {
  static long (*real)(long, ...);
  if (!real) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  long a[6]; char into[2][PATH_MAX];
  va_list rest; va_start(rest, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_openat2 || number == SYS_statx) a[1] = (long)fold((int)a[0], (const char *)a[1], into[0]);
  if (number == SYS_renameat2) {
    a[1] = (long)fold((int)a[0], (const char *)a[1], into[0]);
    a[3] = (long)fold((int)a[2], (const char *)a[3], into[1]);
  }
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
