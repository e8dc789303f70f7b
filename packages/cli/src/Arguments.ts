/**
 * Reads the arguments of the command byte for byte.
 *
 * Node decodes arguments as UTF-8 and loses every byte that is not. Linux keeps them in
 * `/proc/self/cmdline`; elsewhere what Node read has to do.
 */
import * as FilePath from "@fanout/ops/FilePath"
import { readFileSync, readlinkSync, realpathSync } from "node:fs"

/**
 * Arguments as paths are written, from Node's and from the bytes of the command line.
 *
 * Node's own options may stand before them, so they are found from the end, and taken only where they say the same.
 */
export const fromBytes = (args: ReadonlyArray<string>, commandLine: Uint8Array): ReadonlyArray<string> => {
  const all = split(commandLine)
  const own = args.length === 0 ? [] : all.slice(-args.length)
  const isSame = own.length === args.length &&
    own.every((bytes, i) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) === args[i])
  return isSame ? own.map((bytes) => FilePath.fromBytes(bytes)) : args
}

const split = (commandLine: Uint8Array): ReadonlyArray<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  for (let at = 0; at < commandLine.length;) {
    const end = commandLine.indexOf(0, at)
    const stop = end === -1 ? commandLine.length : end
    parts.push(commandLine.subarray(at, stop))
    at = stop + 1
  }
  return parts
}

/** Arguments that this process was started with. */
export const ofProcess = (): ReadonlyArray<string> => {
  const args = process.argv.slice(2)
  try {
    return fromBytes(args, readFileSync("/proc/self/cmdline"))
  } catch {
    return args
  }
}

/** Folder in which this process runs. */
export const workingFolder = (): FilePath.FilePath => {
  try {
    return FilePath.fromBytes(readlinkSync("/proc/self/cwd", { encoding: "buffer" }))
  } catch {
    return FilePath.make(process.cwd())
  }
}

/** Absolute path of a file without links, as far as it exists: from the system, since Node's own code loses bytes. */
export const realPath = (path: FilePath.FilePath): FilePath.FilePath => {
  const absolute = FilePath.join(workingFolder(), path)
  try {
    return FilePath.fromBytes(realpathSync.native(Buffer.from(FilePath.toBytes(absolute)), "buffer"))
  } catch {
    const parent = FilePath.parent(absolute)
    return parent === absolute ? absolute : FilePath.join(realPath(parent), FilePath.name(absolute))
  }
}
