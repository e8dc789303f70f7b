/**
 * Writes the lines of a command to a file that is there once all of them are.
 */
import type { JobId } from "@fanout/core/JobId"
import * as ChecksumLine from "@fanout/ops/ChecksumLine"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type { FilesError } from "@fanout/ops/FilesError"
import * as OutputFile from "@fanout/ops/OutputFile"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { randomInt } from "node:crypto"
import { accessSync, constants } from "node:fs"
import * as Stop from "../exit/Stop.ts"
import * as Settings from "../options/Settings.ts"
import type * as RowOutput from "./RowOutput.ts"

/** Whether a file that begins with these bytes holds checksums, in any style. */
export const holdsChecksums = (start: Uint8Array): boolean => {
  const [line] = ChecksumLine.read(start)
  const isChecksum = line !== undefined && (line._tag === "Checksum" || line.problem === "Sampled")
  return isChecksum || Buffer.from(start).toString().startsWith("{\"v\":1,\"type\":\"hash\",")
}

/** So much that a line of a file ends in it. */
const startBytes = 2 ** 15

/** The first bytes of a file. */
const startOf = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const file = yield* Files.Files.use((files) => files.open(path))
  const buffer = new Uint8Array(startBytes)
  return buffer.subarray(0, yield* file.readAt(buffer, 0))
}, Effect.scoped)

/**
 * Refuses what no file can be put in the place of. What is there stays, unless it holds such lines as the command
 * writes: it may be what the command reads, by any name. The path is one without links.
 */
export const check = Effect.fnUntraced(function*(
  path: FilePath.FilePath,
  mayHold: (start: Uint8Array) => boolean,
  sources: ReadonlyArray<FilePath.FilePath>
) {
  const files = yield* Files.Files
  const refuse = (why: string) => Stop.usage(`"${FilePath.display(path)}" ${why}: name another one.`)
  if ((yield* Settings.databaseFiles).includes(path)) {
    return yield* refuse("is of the database of jobs, which would be lost")
  }
  const found = yield* files.find(path)
  if (Option.isSome(found)) {
    const { device, inode, kind, sizeBytes } = found.value
    if (kind !== "file") return yield* refuse("is no file that lines could be written to")
    for (const source of sources.filter((source) => !FilePath.isAddress(source))) {
      const named = yield* Effect.option(files.stat(source))
      if (Option.exists(named, (stat) => stat.device === device && stat.inode === inode)) {
        return yield* refuse("is what the command reads")
      }
    }
    if (sizeBytes > 0 && !mayHold(yield* startOf(path))) {
      return yield* refuse("holds something else than lines of this command, which would be lost")
    }
  }
  const folder = FilePath.parent(path)
  yield* Effect.try({
    try: () => accessSync(Buffer.from(FilePath.toBytes(folder)), constants.W_OK),
    catch: Stop.fromCall("write", folder)
  })
}, Effect.catchTag("FilesError", (error) => Effect.fail(Stop.refusal(error))))

/** So many writers with one process id are told apart: the first process of each container has the same. */
const writersOfId = 2 ** 14

/** Whether a writer is over: its process is gone, or has the id of this one, which has not begun yet. */
const isOver = (token: number): boolean => {
  const pid = Math.floor(token / writersOfId)
  return pid === process.pid || !isAlive(pid)
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

const unwritten = ({ message }: FilesError): Stop.Stop =>
  Stop.failure(`${message}. The job can go on: the same command writes all lines.`)

/** Opens the file, which is removed with its scope unless it was put in place. Its path is one without links. */
export const make = Effect.fnUntraced(function*(job: JobId, path: FilePath.FilePath) {
  yield* OutputFile.sweep(path, job, isOver)
  // In the place of the token of a lease: it is no owner who writes this.
  const token = process.pid * writersOfId + randomInt(writersOfId)
  const { finish, write } = yield* OutputFile.make(path, { job, token })
  const sink: RowOutput.Sink = {
    write: (bytes) => Effect.mapError(write(bytes), unwritten),
    finish: Effect.mapError(finish(false), unwritten)
  }
  return sink
}, Effect.mapError(unwritten))
