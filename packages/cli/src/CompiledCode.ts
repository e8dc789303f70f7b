/**
 * Loads a file of this program together with what V8 has compiled of it in an earlier process.
 *
 * To parse and to compile is half of the work of a short command. Node's own cache has of a file what is compiled as it
 * is loaded, but most functions are compiled when they are first called. So this keeps all of them that a process has
 * called, once it is through.
 *
 * What is kept is run like the program itself: it is only taken from where nobody but this user can have put it.
 */
import * as fs from "node:fs"
import { createRequire } from "node:module"
import { homedir } from "node:os"
import * as path from "node:path"
import type * as V8 from "node:v8"
import * as vm from "node:vm"
import { crc32 } from "node:zlib"
import * as Exposure from "./options/Exposure.ts"

/** Files that stay: for ten commands and three kinds of threads, of two versions. */
const mostFiles = 26

/** A file of compiled code. */
interface Place {
  readonly folder: string
  readonly name: string
  /** Whose it is. */
  readonly uid: number
}

/** Folder for what can be made again. By XDG, a path that is not absolute counts as none. */
const cacheFolder = (): string | undefined => {
  const given = process.env["XDG_CACHE_HOME"]
  if (given !== undefined && path.isAbsolute(given)) return given
  try {
    return path.join(homedir(), ".cache")
  } catch {
    // The system knows nothing of this user.
    return undefined
  }
}

/** Where to keep what is compiled of some code, whose first line is a comment that names its content. */
const placeOf = (label: string, source: string): Place | undefined => {
  const [, content] = /^\/\/ (\w+)\n/.exec(source) ?? []
  const uid = process.geteuid?.()
  const cache = process.env["NODE_DISABLE_COMPILE_CACHE"] ? undefined : cacheFolder()
  if (content === undefined || uid === undefined || cache === undefined) return undefined
  const name = `${label}-${content}-${process.version}-${process.arch}`
  return { folder: path.join(cache, "fanout"), name, uid }
}

/** Whether only this user, or root, can change what is called by a path, which has no links in its folders. */
const isOurs = (real: string, uid: number): boolean =>
  !fs.lstatSync(real).isSymbolicLink() && Exposure.of(real, uid) === undefined

/** What was kept, if there is that. */
const read = ({ folder, name, uid }: Place): Buffer | undefined => {
  try {
    const real = path.join(fs.realpathSync(folder), name)
    if (!isOurs(real, uid)) return undefined
    const bytes = fs.readFileSync(real)
    // The sum is behind it, since V8 copies what is not aligned.
    const data = bytes.subarray(0, -4)
    // V8 crashes on what a power cut has left of a file.
    return crc32(data) === bytes.readUInt32LE(data.length) ? data : undefined
  } catch {
    // There is none yet, or it can't be read: then all is compiled.
    return undefined
  }
}

/** Makes a folder, for this user alone; not where somebody else is at home, as for root by way of sudo. */
const makeFolder = (folder: string, uid: number): void => {
  if (fs.existsSync(folder) || !isOurs(fs.realpathSync(path.dirname(folder)), uid)) return
  fs.mkdirSync(folder, { mode: 0o700 })
}

/** Forgets the oldest files, and what a process has left that was killed while it wrote. */
const prune = (folder: string): void => {
  const files = fs.readdirSync(folder).map((name) => ({ name, at: fs.statSync(path.join(folder, name)).mtimeMs }))
  for (const { name } of files.toSorted((a, b) => b.at - a.at).slice(mostFiles)) fs.rmSync(path.join(folder, name))
}

/** Keeps what was compiled, for this user alone. Of two processes that do so at the same time the last one has it. */
const write = ({ folder, name, uid }: Place, compiled: () => Buffer): void => {
  try {
    makeFolder(path.dirname(folder), uid)
    makeFolder(folder, uid)
    const real = fs.realpathSync(folder)
    if (!isOurs(real, uid)) return
    const data = compiled()
    const sum = Buffer.alloc(4)
    sum.writeUInt32LE(crc32(data))
    const unfinished = path.join(real, `${name}.${process.pid}-${process.hrtime.bigint()}`)
    try {
      fs.writeFileSync(unfinished, Buffer.concat([data, sum]), { flag: "wx", mode: 0o600 })
      fs.renameSync(unfinished, path.join(real, name))
    } finally {
      fs.rmSync(unfinished, { force: true })
    }
    prune(real)
  } catch {
    // Where nothing can be kept, on a full disk or one that is read-only, the next process compiles again.
  }
}

/** What the bundler makes of a module. Node has `import()` in a script for experiments only, so it is handed in. */
type Bundled = (
  exports: unknown,
  require: NodeJS.Require,
  module: { readonly exports: unknown },
  filename: string,
  dirname: string,
  load: (name: string) => Promise<unknown>
) => void

/** What is loaded, and for what. */
export interface Options {
  readonly file: string
  /** What it does this time: something else calls other functions, which are kept apart. */
  readonly label: string
  /** Is given what has it kept, where nothing is: to be called once the functions have been called that should be. */
  readonly keepLater: (keep: () => void) => void
}

/** Compiles a file of bundled code. What it gives runs the code, and gives what that exports. */
export const load = <Exports>({ file, keepLater, label }: Options): () => Exports => {
  const source = fs.readFileSync(file, "latin1")
  const place = placeOf(label, source)
  const cachedData = place && read(place)
  const script = new vm.Script(source, { filename: file, ...cachedData === undefined ? {} : { cachedData } })
  const require = createRequire(file)
  if (place !== undefined && script.cachedDataRejected !== false) {
    const { cachedDataVersionTag }: typeof V8 = require("node:v8")
    const tag = cachedDataVersionTag()
    keepLater(() => {
      // V8 takes nothing that was compiled with other flags than it was started with.
      if (cachedDataVersionTag() === tag) write(place, () => script.createCachedData())
    })
  }
  return () => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the bundler has made of the module
    const module = { exports: {} as Exports }
    const run: Bundled = script.runInThisContext()
    run(module.exports, require, module, file, path.dirname(file), (name) => import(name))
    return module.exports
  }
}
