/**
 * Reads the arguments of the command byte for byte.
 *
 * Node decodes arguments as UTF-8 and loses every byte that is not. Linux keeps them in
 * `/proc/self/cmdline`; elsewhere what Node read has to do.
 */
import * as FilePath from "@fanout/ops/FilePath"
import { readFileSync, readlinkSync, realpathSync } from "node:fs"
import * as Stop from "../exit/Stop.ts"
import * as Host from "../host/Host.ts"
import * as Process from "../host/Process.ts"

/**
 * Arguments as paths are written, from Node's and from the bytes of the command line.
 *
 * Node's own options may stand before them, so they are found from the end, and taken only where they say the same.
 */
export const fromBytes = (args: ReadonlyArray<string>, commandLine: Uint8Array): ReadonlyArray<string> => {
  const all = Buffer.from(commandLine).toString("latin1").split("\0").slice(0, -1)
  const own = args.length === 0 ? [] : all.slice(-args.length)
  const isSame = own.length === args.length &&
    own.every((text, i) => Buffer.from(text, "latin1").toString() === args[i])
  return isSame ? own.map(FilePath.fromLatin1) : args
}

/** `help COMMAND` and `version`, which other programs have as commands, as the flags that they are here. */
export const withFlags = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [first, ...others] = args
  if (first === "help") return [...others, "--help"]
  return first === "version" && others.length === 0 ? ["--version"] : args
}

/** Arguments that this process was started with. */
export const ofProcess = (): ReadonlyArray<string> => {
  const args = Process.current().argv.slice(2)
  try {
    return withFlags(fromBytes(args, readFileSync("/proc/self/cmdline")))
  } catch {
    return withFlags(args)
  }
}

/** As text. One that was removed has no path, and what the kernel calls it may be the name of another one. */
const workingFolderText = (): string => {
  try {
    return Process.current().cwd()
  } catch {
    throw Stop.usage("The folder that this runs in is gone, or its path is too long: name paths from the root on.")
  }
}

/** Folder in which this process runs, or which the host of the command says. */
export const workingFolder = (): FilePath.FilePath => {
  const host = Host.currentUnsafe()
  if (host !== undefined) return host.folder
  const text = workingFolderText()
  try {
    const bytes = readlinkSync("/proc/self/cwd", { encoding: "buffer" })
    return bytes.toString() === text ? FilePath.fromBytes(bytes) : FilePath.make(text)
  } catch {
    return FilePath.make(text)
  }
}

/** Absolute path of what was named. Where addresses have no meaning they are refused: nobody means a path by one. */
export const absolute = (path: FilePath.FilePath): FilePath.FilePath => {
  if (FilePath.isAddress(path)) {
    // What stands before an "@" may be a secret.
    const shown = FilePath.display(path).replace(/:\/\/.*@/s, "://…@")
    throw Stop.usage(
      `"${shown}" is an address, which has no meaning here. A file is named ./NAME`
    )
  }
  return FilePath.isAbsolute(path) ? path : FilePath.join(workingFolder(), path)
}

/** What was named: an address as it is, and anything else as an absolute path. */
export const absoluteOrAddress = (path: FilePath.FilePath): FilePath.FilePath =>
  FilePath.isAddress(path) ? path : absolute(path)

/** Absolute path of a file without links, as far as it exists: from the system, since Node's own code loses bytes. */
export const realPath = (path: FilePath.FilePath): FilePath.FilePath => {
  const given = absolute(path)
  try {
    return FilePath.fromBytes(realpathSync.native(Buffer.from(FilePath.toBytes(given)), "buffer"))
  } catch {
    const parent = FilePath.parent(given)
    return parent === given ? given : FilePath.join(realPath(parent), FilePath.name(given))
  }
}
