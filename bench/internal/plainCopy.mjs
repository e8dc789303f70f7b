// What a copy costs in Node at least: a folder copied by the calls that fanout makes for each file, by koffi, on this
// thread and as many more as make up what is asked for. Nothing is kept that a crash could be survived by, nothing is
// told, and a file that is not ordinary ends it: `plainCopy.mjs THREADS FROM TO`.
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"

// koffi is a dependency of the package that copies.
const koffi = createRequire(new URL("../../packages/ops/package.json", import.meta.url))("koffi")
const library = koffi.load(null)
const openat = library.func("int openat(int folder, const char *name, int flags, uint mode)")
const statx = library.func("int statx(int folder, const char *name, int flags, uint mask, void *into)")
const flistxattr = library.func("int64 flistxattr(int descriptor, void *into, size_t size)")
const read = library.func("int64 read(int descriptor, void *into, size_t size)")
const write = library.func("int64 write(int descriptor, const void *from, size_t size)")
const sendfile = library.func("int64 sendfile64(int to, int from, void *at, size_t size)")
const utimensat = library.func("int utimensat(int folder, const char *name, const void *times, int flags)")
const close = library.func("int close(int descriptor)")

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
const O_CLOEXEC = 0o2000000
const [AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH] = [0x100, 0x1000]
/** What `stat` knows, and the time of birth. */
const mask = 0xfff

const masked = isMainThread ? process.umask() : workerData.masked
const buffer = Buffer.allocUnsafeSlow(2 ** 18)
const attributes = Buffer.allocUnsafeSlow(65_536)
const [met, after] = [Buffer.alloc(256), Buffer.alloc(256)]
const times = Buffer.alloc(32)

/**
 * @param {number} result
 * @param {string} name
 */
const checked = (result, name) => {
  if (result < 0) throw new Error(`${name}: error ${koffi.errno()}`)
  return result
}

/** Times of what was met, as `utimensat` takes them. */
const timesMet = () => {
  met.copy(times, 0, 64, 76)
  met.copy(times, 16, 112, 124)
  return times
}

/** Whoever does not keep owner and group must not keep the bits either that lend their rights. */
const modeMet = () =>
  met.readUInt16LE(28) & 0o7777 &
  ~(met.readUInt32LE(20) === process.geteuid?.() ? 0 : 0o4000) &
  ~(met.readUInt32LE(24) === process.getegid?.() ? 0 : 0o2000)
const sizeMet = () => met.readUInt32LE(40) + met.readUInt32LE(44) * 2 ** 32

/**
 * @param {number} from
 * @param {number} to
 * @param {string} name
 */
const copyFile = (from, to, name) => {
  checked(statx(from, name, AT_SYMLINK_NOFOLLOW, mask, met), name)
  const size = sizeMet()
  const source = checked(openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0), name)
  const listed = flistxattr(source, attributes, attributes.length)
  if (listed < 0 && koffi.errno() !== koffi.os.errno.ENOTSUP) checked(listed, name)
  const copy = checked(openat(to, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, modeMet()), name)
  for (let copied = 0; copied < size;) {
    if (size >= buffer.length) copied += checked(sendfile(copy, source, null, size - copied), name)
    else copied += checked(write(copy, buffer, checked(read(source, buffer, buffer.length), name)), name)
  }
  checked(statx(source, "", AT_EMPTY_PATH, mask, after), name)
  if (met.compare(after, 32, 48, 32, 48) !== 0 || met.compare(after, 112, 124, 112, 124) !== 0) {
    throw new Error(`${name} was changed`)
  }
  // Where nothing takes anything away from it, the copy has its mode already.
  if ((modeMet() & masked) !== 0) fs.fchmodSync(copy, modeMet())
  checked(utimensat(copy, null, timesMet(), 0), name)
  checked(close(copy), name)
  close(source)
}

/** @param {string} folder */
const openFolder = (folder) => checked(openat(-100, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), folder)

/**
 * Copies what is in one folder after the other, but folders, and gives nothing.
 *
 * @param {{ folders: ReadonlyArray<string>, from: string, to: string, next: Int32Array }} work
 */
const copySome = ({ folders, from, next, to }) => {
  for (;;) {
    const folder = folders[Atomics.add(next, 0, 1)]
    if (folder === undefined) return
    const [source, target] = [openFolder(path.join(from, folder)), openFolder(path.join(to, folder))]
    for (const entry of fs.readdirSync(path.join(from, folder), { withFileTypes: true })) {
      if (entry.isFile()) copyFile(source, target, entry.name)
      else if (entry.isSymbolicLink()) {
        const link = path.join(to, folder, entry.name)
        fs.symlinkSync(fs.readlinkSync(path.join(from, folder, entry.name)), link)
        checked(statx(source, entry.name, AT_SYMLINK_NOFOLLOW, mask, met), entry.name)
        checked(utimensat(target, entry.name, timesMet(), AT_SYMLINK_NOFOLLOW), entry.name)
      }
    }
    close(source)
    close(target)
  }
}

/**
 * Makes the folders, and gives them.
 *
 * @param {string} from
 * @param {string} to
 * @param {string} folder
 * @returns {ReadonlyArray<string>}
 */
const walk = (from, to, folder) => {
  fs.mkdirSync(path.join(to, folder), { mode: 0o700 })
  return [
    folder,
    ...fs.readdirSync(path.join(from, folder), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? walk(from, to, path.join(folder, entry.name)) : []
    )
  ]
}

if (isMainThread) {
  const [threads = "", from = "", to = ""] = process.argv.slice(2)
  fs.mkdirSync(to, { recursive: true })
  fs.rmdirSync(to)
  const next = new Int32Array(new SharedArrayBuffer(4))
  const work = { folders: walk(from, to, ""), from, to, next, masked }
  const others = Array.from({ length: Number(threads) - 1 }, () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: work })
    return new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject))
  })
  copySome(work)
  await Promise.all(others)
  for (const folder of work.folders.toReversed()) {
    const target = openFolder(path.join(to, folder))
    checked(statx(-100, path.join(from, folder), 0, mask, met), folder)
    fs.fchmodSync(target, modeMet())
    checked(utimensat(target, null, timesMet(), 0), folder)
    close(target)
  }
  process.exit()
} else {
  copySome(workerData)
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is no window
  parentPort?.postMessage("done")
}
