/**
 * Writes the lines of a command to a file that is there once all of them are.
 */
import type { JobId } from "@fanout/core/JobId"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type { FilesError } from "@fanout/ops/FilesError"
import * as OutputFile from "@fanout/ops/OutputFile"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { accessSync, constants } from "node:fs"
import * as Stop from "../exit/Stop.ts"
import * as Settings from "../options/Settings.ts"
import type * as RowOutput from "./RowOutput.ts"

/** Refuses what no file can be put in the place of. Its path is one without links. */
export const check = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const files = yield* Files.Files
  if ((yield* Settings.databaseFiles).includes(path)) {
    return yield* Stop.usage(`"${FilePath.display(path)}" is of the database of jobs, which would be lost.`)
  }
  const found = yield* files.find(path)
  if (Option.isSome(found) && found.value.kind !== "file") {
    return yield* Stop.usage(`"${FilePath.display(path)}" is no file that lines could be written to: name another one.`)
  }
  const folder = FilePath.parent(path)
  yield* Effect.try({
    try: () => accessSync(Buffer.from(FilePath.toBytes(folder)), constants.W_OK),
    catch: Stop.fromCall("write", folder)
  })
}, Effect.catchTag("FilesError", (error) => Effect.fail(Stop.refusal(error))))

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
  yield* OutputFile.sweep(path, job, (pid) => !isAlive(pid))
  // The process is in the place of the token of a lease: it is no owner who writes this.
  const { finish, write } = yield* OutputFile.make(path, { job, token: process.pid })
  const sink: RowOutput.Sink = {
    write: (bytes) => Effect.mapError(write(bytes), unwritten),
    finish: Effect.mapError(finish(false), unwritten)
  }
  return sink
}, Effect.mapError(unwritten))
