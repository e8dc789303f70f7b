/**
 * Makes calls through `node:fs`, which knows paths only: a name in an open folder is reached by way of `/proc/self/fd`.
 *
 * Where there is no such folder, on anything but Linux, names are reached by the path that the folder had when it was
 * opened, and a folder that is swapped for a link in the meantime is followed.
 */
import * as fs from "node:fs"
import {
  andThen,
  type Call,
  type Calls,
  code,
  failed,
  immediate,
  make,
  map,
  type Mode,
  orElse,
  unsupported
} from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { fileMode, isAnonymous, isOverlay } from "./fileSystemTypes.ts"

const codeOf = (error: NodeJS.ErrnoException) => code(error.code ?? error.name)

/** A call in one of the two ways that `node:fs` has for each. */
const made = <A>(
  atOnce: () => A,
  later: (done: (error: NodeJS.ErrnoException | null, value: A) => void) => void
): Call<A> =>
  make(
    () => {
      try {
        return atOnce()
      } catch (error) {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what Node throws
        return codeOf(error as NodeJS.ErrnoException)
      }
    },
    (done) => later((error, value) => done(error === null ? value : codeOf(error)))
  )

/** The same for what gives nothing, by both of its functions and what they take. */
const done = <A extends ReadonlyArray<unknown>>(
  atOnce: (...values: A) => void,
  later: (...values: [...A, done: fs.NoParamCallback]) => void,
  ...values: A
): Call<void> => made(() => atOnce(...values), (done) => later(...values, (error) => done(error, undefined)))

const failing = (): Call<never> => failed(unsupported)

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
const isLinux = process.platform === "linux"
const O_PATH = isLinux ? 0o10000000 : 0
const O_NOATIME = isLinux ? fs.constants.O_NOATIME : 0

const flagsOf: Readonly<Record<Exclude<Mode, "unnamed">, number>> = {
  folder: O_PATH | O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
  list: O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME,
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME,
  create: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
  update: O_RDWR | O_NOFOLLOW | O_NONBLOCK
}

// --- Where things are -----------------------------------------------------------------------------------------------

/** Paths of what is open, where descriptors can't be addressed. */
const pathOf = new Map<number, FilePath.FilePath>()

const place = (folder: number): FilePath.FilePath =>
  isLinux ? FilePath.make(`/proc/self/fd/${folder}`) : pathOf.get(folder) ?? FilePath.empty

const bytesOf = (path: FilePath.FilePath): Buffer => {
  const bytes = FilePath.toBytes(path)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Node passes text on as UTF-8; only what is not UTF-8 needs a buffer. */
const native = (path: FilePath.FilePath): string | Buffer => path.isWellFormed() ? path : bytesOf(path)

const at = (folder: number, name: FilePath.FilePath): string | Buffer => native(FilePath.join(place(folder), name))

// --- What Node gives ------------------------------------------------------------------------------------------------

const bigint = { bigint: true } as const

const kindOf = (stats: fs.BigIntStats | fs.Dirent): Files.FileKind =>
  stats.isFile() ? "file" : stats.isDirectory() ? "folder" : stats.isSymbolicLink() ? "link" : "special"

/** What Node tells of a file. */
export const toStat = (stats: fs.BigIntStats): Files.FileStat => ({
  kind: kindOf(stats),
  special: stats.isFIFO()
    ? "FIFO"
    : stats.isSocket()
    ? "socket"
    : stats.isBlockDevice() || stats.isCharacterDevice()
    ? "device"
    : undefined,
  device: stats.dev,
  inode: stats.ino,
  links: Number(stats.nlink),
  mode: Number(stats.mode & 0o7777n),
  owner: Number(stats.uid),
  group: Number(stats.gid),
  sizeBytes: Number(stats.size),
  allocatedBytes: 512 * Number(stats.blocks),
  accessedNanos: stats.atimeNs,
  modifiedNanos: stats.mtimeNs,
  changedNanos: stats.ctimeNs,
  bornNanos: stats.birthtimeNs
})

/**
 * Seconds for `utimes`. A double holds the times of today to a quarter of a microsecond. Node takes a number below
 * zero for the present time, and text for what it says.
 */
const toSeconds = (nanos: bigint): number | string => {
  const seconds = Number(nanos / 1_000_000_000n) + Number(nanos % 1_000_000_000n) / 1e9
  return seconds < 0 ? String(seconds) : seconds
}

const timesOf = ({ accessedNanos, modifiedNanos }: Files.FileTimes) =>
  [toSeconds(accessedNanos), toSeconds(modifiedNanos)] as const

// --- Calls ----------------------------------------------------------------------------------------------------------

/** Opens without a note of when it was read, or with one: to leave it out is up to the owner of a file. */
export const unnoted = (flags: number, open: (flags: number) => Call<number>): Call<number> =>
  (flags & O_NOATIME) === 0
    ? open(flags)
    : orElse(open(flags), (code) => code.name === "EPERM" ? open(flags & ~O_NOATIME) : failed(code))

const openAt = (path: FilePath.FilePath, flags: number, mode = fileMode): Call<number> =>
  map(
    unnoted(flags, (flags) =>
      made(() => fs.openSync(native(path), flags, mode), (done) => fs.open(native(path), flags, mode, done))),
    (opened) => {
      if (!isLinux) {
        pathOf.set(opened, path)
      }
      return opened
    }
  )

const closeNow = (descriptor: number): void => {
  pathOf.delete(descriptor)
  fs.closeSync(descriptor)
}

/** Opens one component after the other from the root on, so that none of them can be a link. */
export const openEach = (
  path: FilePath.FilePath,
  { closeNow, open, root }: Pick<Calls, "closeNow"> & {
    readonly root: Call<number>
    readonly open: (folder: number, name: FilePath.FilePath, isLast: boolean) => Call<number>
  }
): Call<number> => {
  const names = path.split("/").filter((name) => name !== "")
  const step = (folder: number, index: number): Call<number> => {
    const isLast = index >= names.length - 1
    const refused = orElse(open(folder, FilePath.make(names[index] ?? "."), isLast), (code) => {
      closeNow(folder)
      return failed(code)
    })
    return andThen(refused, (opened) => {
      closeNow(folder)
      return isLast ? immediate(() => opened) : step(opened, index + 1)
    })
  }
  return andThen(root, (root) => step(root, 0))
}

const openIn = (folder: number, name: FilePath.FilePath, flags: number, mode?: number): Call<number> =>
  openAt(FilePath.join(place(folder), name), flags, mode)

const openPath: Calls["openPath"] = (path, mode) =>
  openEach(path, {
    root: openAt(FilePath.make("/"), flagsOf.folder),
    open: (folder, name, isLast) => openIn(folder, name, isLast ? flagsOf[mode] : flagsOf.folder),
    closeNow
  })

/** Number of the mount that something open is on; where that is not told, its device has to do. */
const mountOf = (descriptor: number, device: bigint): Call<bigint> => {
  if (!isLinux) return immediate(() => device)
  const path = `/proc/self/fdinfo/${descriptor}`
  const told = map(
    made(() => fs.readFileSync(path, "latin1"), (done) => fs.readFile(path, "latin1", done)),
    (text) => BigInt(/^mnt_id:\s*(\d+)/m.exec(text)?.[1] ?? device)
  )
  // Then it is not told of any. After another error it would be told of others, which would seem to be elsewhere.
  return orElse(told, (code) => code.name === "ENOENT" ? immediate(() => device) : failed(code))
}

/** When a folder was created; 0 on an overlay, where the first change in it makes another one. */
const bornOf = (descriptor: number, { birthtimeNs, dev }: fs.BigIntStats): Call<bigint> => {
  if (!isLinux || !isAnonymous(dev)) return immediate(() => birthtimeNs)
  const path = place(descriptor)
  return map(
    made(() => fs.statfsSync(path), (done) => fs.statfs(path, done)),
    ({ type }) => isOverlay(type) ? 0n : birthtimeNs
  )
}

const fstat = (descriptor: number): Call<fs.BigIntStats> =>
  made(() => fs.fstatSync(descriptor, bigint), (done) => fs.fstat(descriptor, bigint, done))

const identity: Calls["identity"] = (descriptor) =>
  andThen(fstat(descriptor), (stats) =>
    andThen(bornOf(descriptor, stats), (bornNanos) =>
      map(
        mountOf(descriptor, stats.dev),
        (mount) => ({ device: stats.dev, inode: stats.ino, bornNanos, mount })
      )))

// As Latin-1 a name is one character for each byte, whatever the bytes are.
const encoding = "latin1"

/**
 * Where a file system does not tell kinds, Node would ask for each by a path that it builds from the decoded
 * name. It can't build one from a buffer and a string, and reports that instead: the sign to list without kinds.
 */
const lacksKinds = "ERR_INVALID_ARG_TYPE"

const list: Calls["list"] = (descriptor, add, skips = () => false) => {
  const path = bytesOf(place(descriptor))
  const withKinds = map(
    made(
      () => fs.readdirSync(path, { encoding, withFileTypes: true }),
      (done) => fs.readdir(path, { encoding, withFileTypes: true }, done)
    ),
    (entries) => {
      for (const entry of entries) {
        const kind = kindOf(entry)
        if (!skips(kind)) add(entry.name, kind)
      }
      return false
    }
  )
  const withoutKinds = map(
    made(() => fs.readdirSync(path, { encoding }), (done) => fs.readdir(path, { encoding }, done)),
    (names) => {
      for (const name of names) if (!skips("unknown")) add(name, "unknown")
      return false
    }
  )
  return orElse(withKinds, (code) => code.name === lacksKinds ? withoutKinds : failed(code))
}

/** Calls by paths, which a person names: a few for each job. */
export const byPath: Pick<Calls, "statPath" | "realPath" | "denied" | "user"> = {
  statPath: (path, follows) =>
    map(
      follows
        ? made(() => fs.statSync(native(path), bigint), (done) => fs.stat(native(path), bigint, done))
        : made(() => fs.lstatSync(native(path), bigint), (done) => fs.lstat(native(path), bigint, done)),
      toStat
    ),
  realPath: (path) =>
    map(
      made(
        () => fs.realpathSync.native(native(path), "buffer"),
        (done) => fs.realpath.native(native(path), "buffer", done)
      ),
      FilePath.fromBytes
    ),
  denied: () => process.umask(),
  user: () => process.geteuid?.() ?? 0
}

/** The calls. What `node:fs` has no call for is not supported. */
export const calls: Calls = {
  ...byPath,
  // A file without a name can be made, but not be given one: Node's `link` takes the link in `/proc` for the file.
  open: (folder, name, mode) => mode === "unnamed" ? failing() : openIn(folder, name, flagsOf[mode]),
  openPath,
  createAs: (folder, name, mode) => openIn(folder, name, flagsOf.create, mode),
  close: (descriptor) => {
    pathOf.delete(descriptor)
    return done(fs.closeSync, fs.close, descriptor)
  },
  closeNow,
  stat: (descriptor) => map(fstat(descriptor), toStat),
  identity,
  lstat: (folder, name) =>
    map(
      made(() => fs.lstatSync(at(folder, name), bigint), (done) => fs.lstat(at(folder, name), bigint, done)),
      toStat
    ),
  // Node tells the type of a file system, and how full it is.
  fileSystem: () => immediate(() => ""),
  isAppendOnly: () => immediate(() => false),
  flags: () => immediate(() => 0),
  list,
  readLink: (folder, name) =>
    map(
      made(
        () => fs.readlinkSync(at(folder, name), "buffer"),
        (done) => fs.readlink(at(folder, name), "buffer", done)
      ),
      FilePath.fromBytes
    ),
  read: (descriptor, buffer, from) =>
    made(
      () => fs.readSync(descriptor, buffer, 0, buffer.byteLength, from),
      (done) => fs.read(descriptor, buffer, 0, buffer.byteLength, from, done)
    ),
  write: (descriptor, bytes, to) =>
    made(
      () => fs.writeSync(descriptor, bytes, 0, bytes.byteLength, to),
      (done) => fs.write(descriptor, bytes, 0, bytes.byteLength, to, done)
    ),
  seek: failing,
  copyRange: failing,
  clone: failing,
  truncate: (descriptor, sizeBytes) => done(fs.ftruncateSync, fs.ftruncate, descriptor, sizeBytes),
  forget: failing,
  readAnew: failing,
  sync: (descriptor) => done(fs.fsyncSync, fs.fsync, descriptor),
  syncFileSystem: failing,
  listAttributes: failing,
  getAttribute: failing,
  setAttribute: failing,
  listAttributesAt: failing,
  getAttributeAt: failing,
  setAttributeAt: failing,
  setOwner: (descriptor, { group, owner }) => done(fs.fchownSync, fs.fchown, descriptor, owner, group),
  setOwnerAt: (folder, name, { group, owner }) => done(fs.lchownSync, fs.lchown, at(folder, name), owner, group),
  setMode: (descriptor, mode) => done(fs.fchmodSync, fs.fchmod, descriptor, mode),
  setTimes: (descriptor, times) => done(fs.futimesSync, fs.futimes, descriptor, ...timesOf(times)),
  setTimesAt: (folder, name, times) => done(fs.lutimesSync, fs.lutimes, at(folder, name), ...timesOf(times)),
  makeFolder: (folder, name, mode) =>
    done(() => fs.mkdirSync(at(folder, name), mode), (done) => fs.mkdir(at(folder, name), mode, done)),
  makeLink: (target, folder, name) => done(fs.symlinkSync, fs.symlink, native(target), at(folder, name)),
  rename: (folder, from, into, to) => done(fs.renameSync, fs.rename, at(folder, from), at(into, to)),
  renameExclusively: failing,
  link: (folder, existing, to, name) => done(fs.linkSync, fs.link, at(folder, existing), at(to, name)),
  linkUnnamed: failing,
  unlink: (folder, name) => done(fs.unlinkSync, fs.unlink, at(folder, name)),
  removeFolder: (folder, name) => done(fs.rmdirSync, fs.rmdir, at(folder, name))
}
