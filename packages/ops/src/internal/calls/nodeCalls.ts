/**
 * Makes system calls through `node:fs`, which knows paths only: a name in an open folder is reached by way of
 * `/proc/self/fd`.
 *
 * Where there is no such folder, on anything but Linux, names are reached by the path that the folder had when it was
 * opened, and a folder that is swapped for a link in the meantime is followed.
 */
import * as fs from "node:fs"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { withFolders } from "./copyFolders.ts"
import { leaving } from "./readSmall.ts"
import {
  type Done,
  fileMode,
  isAnonymous,
  isOverlay,
  type Mode,
  type SystemCalls,
  unlinkOneByOne,
  type Way
} from "./systemCalls.ts"

type NodeDone<A> = (error: NodeJS.ErrnoException | null, value: A) => void

/** Makes a call in one of the two ways that `node:fs` has for each. */
type Make = <A>(done: Done<A>, later: (done: NodeDone<A>) => void, atOnce: () => A) => void

const codeOf = (error: NodeJS.ErrnoException): string => error.code ?? error.name

const makeLater: Make = (done, later) =>
  later((error, value) => done(error === null ? undefined : codeOf(error), value))

const makeAtOnce: Make = <A>(done: Done<A>, _: unknown, atOnce: () => A) => {
  let end: () => void
  try {
    const value = atOnce()
    end = () => done(undefined, value)
  } catch (error) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what Node throws, and nobody reads the value
    end = () => done(codeOf(error as NodeJS.ErrnoException), undefined as A)
  }
  end()
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
const isLinux = process.platform === "linux"
const O_PATH = isLinux ? 0o10000000 : 0

const flagsOf: Readonly<Record<Exclude<Mode, "unnamed">, number>> = {
  folder: O_PATH | O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
  list: O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
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
export const native = (path: FilePath.FilePath): string | Buffer => path.isWellFormed() ? path : bytesOf(path)

const at = (folder: number, name: FilePath.FilePath): string | Buffer => native(FilePath.join(place(folder), name))

// --- What Node gives ------------------------------------------------------------------------------------------------

export const bigint = { bigint: true } as const

const kindOf = (stats: fs.BigIntStats | fs.Dirent): Files.FileKind =>
  stats.isFile() ? "file" : stats.isDirectory() ? "folder" : stats.isSymbolicLink() ? "link" : "special"

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

const mapped = <A, B>(done: Done<B>, map: (value: A) => B): Done<A> => (code, value) =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nobody reads the value beside a code
  done(code, code === undefined ? map(value) : undefined as B)

/**
 * Seconds for `utimes`. A double holds the times of today to a quarter of a microsecond. Node takes a number below
 * zero for the present time, and text for what it says.
 */
const toSeconds = (nanos: bigint): number | string => {
  const seconds = Number(nanos / 1_000_000_000n) + Number(nanos % 1_000_000_000n) / 1e9
  return seconds < 0 ? String(seconds) : seconds
}

// --- Listings -------------------------------------------------------------------------------------------------------

// As Latin-1 a name is one character for each byte, whatever the bytes are.
const encoding = "latin1"

/**
 * Where a file system does not tell kinds, Node would ask for each by a path that it builds from the decoded
 * name. It can't build one from a buffer and a string, and reports that instead: the sign to list without kinds.
 */
const lacksKinds = "ERR_INVALID_ARG_TYPE"

const list = (make: Make): SystemCalls["list"] => (descriptor, add, done, skips = () => false) => {
  const path = bytesOf(place(descriptor))
  const withKinds = (entries: ReadonlyArray<fs.Dirent>): boolean => {
    for (const entry of entries) {
      const kind = kindOf(entry)
      if (!skips(kind)) add(entry.name, kind)
    }
    return false
  }
  const withoutKinds = (names: ReadonlyArray<string>): boolean => {
    for (const name of names) if (!skips("unknown")) add(name, "unknown")
    return false
  }
  make<Array<fs.Dirent>>(
    (code, entries) => {
      if (code !== lacksKinds) return mapped(done, withKinds)(code, entries)
      make<Array<string>>(
        mapped(done, withoutKinds),
        (done) => fs.readdir(path, { encoding }, done),
        () => fs.readdirSync(path, { encoding })
      )
    },
    (done) => fs.readdir(path, { encoding, withFileTypes: true }, done),
    () => fs.readdirSync(path, { encoding, withFileTypes: true })
  )
}

// --- Calls ----------------------------------------------------------------------------------------------------------

const open = (make: Make, path: FilePath.FilePath, flags: number, done: Done<number>): void =>
  make<number>(
    (code, descriptor) => {
      if (code === undefined && !isLinux) pathOf.set(descriptor, path)
      done(code, descriptor)
    },
    (done) => fs.open(native(path), flags, fileMode, done),
    () => fs.openSync(native(path), flags, fileMode)
  )

const closeFolder = (descriptor: number): void => {
  pathOf.delete(descriptor)
  fs.closeSync(descriptor)
}

/** Opens one component after the other, so that none of them can be a link. */
const openByStep = (make: Make, path: FilePath.FilePath, flags: number, done: Done<number>): void => {
  const names = path.split("/").filter((name) => name !== "")
  const step = (folder: number, index: number): void => {
    const isLast = index >= names.length - 1
    const next = FilePath.join(place(folder), FilePath.make(names[index] ?? "."))
    open(make, next, isLast ? flags : flagsOf.folder, (code, opened) => {
      closeFolder(folder)
      if (code !== undefined || isLast) done(code, opened)
      else step(opened, index + 1)
    })
  }
  open(make, FilePath.make("/"), flagsOf.folder, (code, root) => code === undefined ? step(root, 0) : done(code, root))
}

/** Number of the mount that something open is on; where that is not told, its device has to do. */
const mountOf = (make: Make, descriptor: number, device: bigint, done: Done<bigint>): void => {
  if (!isLinux) return done(undefined, device)
  const path = `/proc/self/fdinfo/${descriptor}`
  make<string>(
    (code, text) => {
      if (code === undefined) done(undefined, BigInt(/^mnt_id:\s*(\d+)/m.exec(text)?.[1] ?? device))
      // Then it is not told of any. After another error it would be told of others, which would seem to be elsewhere.
      else done(code === "ENOENT" ? undefined : code, device)
    },
    (done) => fs.readFile(path, "latin1", done),
    () => fs.readFileSync(path, "latin1")
  )
}

/** When a folder was created; 0 on an overlay, where the first change in it makes another one. */
const bornOf = (make: Make, descriptor: number, { birthtimeNs, dev }: fs.BigIntStats, done: Done<bigint>): void => {
  if (!isLinux || !isAnonymous(dev)) return done(undefined, birthtimeNs)
  const path = place(descriptor)
  make<fs.StatsFs>(
    mapped(done, ({ type }) => isOverlay(type) ? 0n : birthtimeNs),
    (done) => fs.statfs(path, done),
    () => fs.statfsSync(path)
  )
}

const identity = (make: Make): SystemCalls["identity"] => (descriptor, done) =>
  make<fs.BigIntStats>(
    (code, stats) =>
      code === undefined
        ? bornOf(make, descriptor, stats, (code, bornNanos) =>
          code === undefined
            ? mountOf(
              make,
              descriptor,
              stats.dev,
              (code, mount) => done(code, { device: stats.dev, inode: stats.ino, bornNanos, mount })
            )
            // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nobody reads the value beside a code
            : done(code, undefined as never))
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nobody reads the value beside a code
        : done(code, undefined as never),
    (done) => fs.fstat(descriptor, bigint, done),
    () => fs.fstatSync(descriptor, bigint)
  )

const looking = (make: Make) =>
  ({
    open: (folder, name, mode, done) =>
      mode === "unnamed"
        // One can be made, but not be given a name: Node's `link` takes the link in `/proc` for the file.
        ? done(unsupported, -1)
        : open(make, FilePath.join(place(folder), name), flagsOf[mode], done),
    openPath: (path, mode, done) => openByStep(make, path, flagsOf[mode], done),
    close: (descriptor, done) => {
      pathOf.delete(descriptor)
      make<void>(done, (done) => fs.close(descriptor, done), () => fs.closeSync(descriptor))
    },
    closeFolder,
    stat: (descriptor, done) =>
      make<fs.BigIntStats>(
        mapped(done, toStat),
        (done) => fs.fstat(descriptor, bigint, done),
        () => fs.fstatSync(descriptor, bigint)
      ),
    identity: identity(make),
    lstat: (folder, name, done) =>
      make<fs.BigIntStats>(
        mapped(done, toStat),
        (done) => fs.lstat(at(folder, name), bigint, done),
        () => fs.lstatSync(at(folder, name), bigint)
      ),
    // Node tells the type of a file system, and how full it is.
    fileSystem: (_, done) => done(undefined, ""),
    list: list(make),
    readSmall: leaving((folder, name, done) => open(make, FilePath.join(place(folder), name), flagsOf.read, done)),
    readLink: (folder, name, done) =>
      make<Buffer>(
        mapped(done, FilePath.fromBytes),
        (done) => fs.readlink(at(folder, name), "buffer", done),
        () => fs.readlinkSync(at(folder, name), "buffer")
      ),
    read: (descriptor, buffer, from, done) =>
      make<number>(
        done,
        (done) => fs.read(descriptor, buffer, 0, buffer.byteLength, from, done),
        () => fs.readSync(descriptor, buffer, 0, buffer.byteLength, from)
      )
  }) satisfies Partial<SystemCalls>

const unsupported = "ENOTSUP"

/** What `node:fs` has no call for is not supported. */
const forContent = (make: Make) =>
  ({
    write: (descriptor, bytes, to, done) =>
      make<number>(
        done,
        (done) => fs.write(descriptor, bytes, 0, bytes.byteLength, to, done),
        () => fs.writeSync(descriptor, bytes, 0, bytes.byteLength, to)
      ),
    seek: (_, __, ___, done) => done(unsupported, 0),
    copyRange: (_, __, ___, ____, done) => done(unsupported, 0),
    clone: (_, __, done) => done(unsupported, undefined),
    truncate: (descriptor, sizeBytes, done) =>
      make<void>(
        done,
        (done) => fs.ftruncate(descriptor, sizeBytes, done),
        () => fs.ftruncateSync(descriptor, sizeBytes)
      ),
    forget: (_, done) => done(unsupported, undefined),
    readAnew: (_, done) => done(unsupported, undefined),
    sync: (descriptor, done) => make<void>(done, (done) => fs.fsync(descriptor, done), () => fs.fsyncSync(descriptor)),
    syncFileSystem: (_, done) => done(unsupported, undefined)
  }) satisfies Partial<SystemCalls>

const forAttributes = (make: Make) =>
  ({
    listAttributes: (_, done) => done(unsupported, []),
    getAttribute: (_, __, done) => done(unsupported, new Uint8Array(0)),
    setAttribute: (_, __, ___, done) => done(unsupported, undefined),
    listAttributesAt: (_, __, done) => done(unsupported, []),
    getAttributeAt: (_, __, ___, done) => done(unsupported, new Uint8Array(0)),
    setAttributeAt: (_, __, ___, ____, done) => done(unsupported, undefined),
    setOwner: (descriptor, owner, group, done) =>
      make<void>(
        done,
        (done) => fs.fchown(descriptor, owner, group, done),
        () => fs.fchownSync(descriptor, owner, group)
      ),
    setOwnerAt: (folder, name, owner, group, done) =>
      make<void>(
        done,
        (done) => fs.lchown(at(folder, name), owner, group, done),
        () => fs.lchownSync(at(folder, name), owner, group)
      )
  }) satisfies Partial<SystemCalls>

const changing = (make: Make) =>
  ({
    setMode: (descriptor, mode, done) =>
      make<void>(done, (done) => fs.fchmod(descriptor, mode, done), () => fs.fchmodSync(descriptor, mode)),
    setTimes: (descriptor, { accessedNanos, modifiedNanos }, done) => {
      const times = [toSeconds(accessedNanos), toSeconds(modifiedNanos)] as const
      make<void>(
        done,
        (done) => fs.futimes(descriptor, ...times, done),
        () => fs.futimesSync(descriptor, ...times)
      )
    },
    setTimesAt: (folder, name, { accessedNanos, modifiedNanos }, done) => {
      const times = [toSeconds(accessedNanos), toSeconds(modifiedNanos)] as const
      make<void>(
        done,
        (done) => fs.lutimes(at(folder, name), ...times, done),
        () => fs.lutimesSync(at(folder, name), ...times)
      )
    },
    makeFolder: (folder, name, mode, done) =>
      make<void>(
        done,
        (done) => fs.mkdir(at(folder, name), mode, done),
        () => fs.mkdirSync(at(folder, name), mode)
      ),
    makeLink: (target, folder, name, done) =>
      make<void>(
        done,
        (done) => fs.symlink(native(target), at(folder, name), done),
        () => fs.symlinkSync(native(target), at(folder, name))
      ),
    rename: (folder, from, into, to, done) =>
      make<void>(
        done,
        (done) => fs.rename(at(folder, from), at(into, to), done),
        () => fs.renameSync(at(folder, from), at(into, to))
      ),
    renameExclusively: (_, __, ___, ____, done) => done(unsupported, undefined),
    link: (folder, existing, to, name, done) =>
      make<void>(
        done,
        (done) => fs.link(at(folder, existing), at(to, name), done),
        () => fs.linkSync(at(folder, existing), at(to, name))
      ),
    linkUnnamed: (_, __, ___, done) => done(unsupported, undefined),
    unlink: (folder, name, done) =>
      make<void>(done, (done) => fs.unlink(at(folder, name), done), () => fs.unlinkSync(at(folder, name))),
    removeFolder: (folder, name, done) =>
      make<void>(done, (done) => fs.rmdir(at(folder, name), done), () => fs.rmdirSync(at(folder, name)))
  }) satisfies Partial<SystemCalls>

const of = (make: Make): SystemCalls => {
  const changes = changing(make)
  return {
    ...looking(make),
    ...forContent(make),
    ...forAttributes(make),
    ...changes,
    unlinkEach: unlinkOneByOne(changes.unlink)
  }
}

/** Calls that a thread of the pool waits for, and calls that are waited for. */
export const calls: Readonly<Record<Way, SystemCalls>> = {
  later: of(makeLater),
  atOnce: withFolders(of(makeAtOnce))
}
