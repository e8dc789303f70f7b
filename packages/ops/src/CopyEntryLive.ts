/**
 * Handler of the task `CopyEntry`: decides what is to happen to an entry, and has the strategy for its kind do it.
 *
 * @since 0.1.0
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as JobId from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Conflict from "./Conflict.ts"
import { CopyEntry, EntryCopied, EntryFailed } from "./CopyEntry.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import type { NoFreeName } from "./NumberedName.ts"
import * as TemporaryName from "./TemporaryName.ts"

type Payload = Task.Payload<typeof CopyEntry>
type Ending = Effect.Effect<
  typeof EntryCopied.Type,
  EntryFailed | FilesError | NoFreeName | Interrupter.Interrupted | Task.Skipped,
  Files.Files
>

/** Group of the one task. */
class Tasks extends RpcGroup.make(CopyEntry) {}

// Once a copy that may be repeated has begun, its own work is in the destination: what was decided before stands.
const decided = TaskCheckpoint.make(Conflict.Decision)

/** What is to happen to an entry; for modes that could meet their own work, recorded before anything is done. */
const decide = Effect.fnUntraced(function*({ conflict, source, target }: Payload, stat: Files.FileStat) {
  const earlier = yield* decided.get
  if (Option.isSome(earlier)) return earlier.value
  const decision = yield* Conflict.resolve(conflict, yield* Conflict.facts(source, stat), target)
  const writes = decision._tag === "Create" || decision._tag === "Replace" || decision._tag === "RenameTo"
  if (writes && conflict !== "changed" && conflict !== "overwrite") yield* decided.commit(decision)
  return decision
})

const failed = (error: FilesError): EntryFailed =>
  new EntryFailed({ code: error.code, path: error.path, why: error.message })

const refused = (path: FilePath.FilePath, reason: string): EntryFailed =>
  new EntryFailed({ code: "Refused", path, why: reason })

const refusals = {
  Exists: "it is there already, and the conflict mode is error",
  FolderOverFile: "a folder can't take the place of what is there",
  FileOverFolder: "a file can't take the place of the folder that is there"
}

/** Writes something under a temporary name and gives it its own once it is whole: old or new, never half. */
const publish = <A, E>(
  target: FilePath.FilePath,
  write: (temporary: FilePath.FilePath) => Effect.Effect<A, E, Files.Files>
) =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const lease = yield* Lease.Lease
    const temporary = TemporaryName.make(Option.getOrElse(lease.job, () => noJob), lease.token, target)
    return yield* Effect.onExit(
      Effect.gen(function*() {
        const written = yield* write(temporary)
        yield* Lease.check
        yield* files.rename(temporary, target)
        return written
      }),
      (exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(files.unlink(temporary))
    )
  })

const noJob = JobId.make("none")

/** Copies a file through memory, a chunk at a time, with a safe point and a report after each chunk of a large one. */
const copyFile = (source: FilePath.FilePath, target: FilePath.FilePath) =>
  publish(target, (temporary) =>
    Effect.scoped(Effect.gen(function*() {
      const files = yield* Files.Files
      const input = yield* files.open(source)
      const stat = yield* input.stat
      const output = yield* files.create(temporary)
      const buffer = new Uint8Array(Math.min(chunkBytes, stat.sizeBytes + 1))
      let sizeBytes = 0
      for (;;) {
        const read = yield* input.read(buffer)
        if (read === 0) break
        yield* output.write(buffer.subarray(0, read))
        sizeBytes += read
        yield* Progress.add("bytes", read)
        if (stat.sizeBytes > interruptibleBytes) yield* Interrupter.check
      }
      yield* output.setMode(stat.mode)
      yield* output.setTimes(stat)
      yield* output.close
      return { strategy: stat.sizeBytes > interruptibleBytes ? "chunked" : "whole", sizeBytes }
    })))

const chunkBytes = 2 ** 20
/** From this size on a copy can be stopped within the file. */
const interruptibleBytes = 8 * 2 ** 20

const copyLink = (source: FilePath.FilePath, target: FilePath.FilePath, times: Files.FileTimes) =>
  publish(target, (temporary) =>
    Effect.gen(function*() {
      const files = yield* Files.Files
      yield* files.makeLink(yield* files.readLink(source), temporary)
      yield* files.setLinkTimes(temporary, times)
    }))

const makeFolder = (target: FilePath.FilePath) =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    yield* Lease.check
    yield* Effect.catchIf(files.makeFolder(target), (error) => error.code === "EEXIST", () => Effect.void)
  })

/** Gives a folder its mode and times, once nothing is written in it any more. */
const endFolder = Effect.fnUntraced(function*({ source, target }: Payload) {
  const files = yield* Files.Files
  const lease = yield* Lease.Lease
  // Owners before this one may have left temporary files.
  if (lease.token > 1 && Option.isSome(lease.job)) {
    yield* TemporaryName.sweep({ folder: target, job: lease.job.value, before: lease.token })
  }
  const stat = yield* files.lstat(source)
  yield* Effect.scoped(Effect.gen(function*() {
    const folder = yield* files.open(target)
    yield* folder.setMode(stat.mode)
    yield* folder.setTimes(stat)
  }))
  return EntryCopied.cases.FolderEnded.make({})
})

/** Copies what is to be copied; a folder without what is in it. */
const perform = Effect.fnUntraced(function*(payload: Payload, stat: Files.FileStat) {
  const decision = yield* decide(payload, stat)
  const target = Conflict.placeOf(decision, payload.target)
  switch (decision._tag) {
    case "Unchanged":
      return EntryCopied.cases.Unchanged.make({})
    case "Skip":
      return yield* Task.skip(decision.reason === "Exists" ? "it is there already" : "it is no file, folder or link")
    case "Refuse":
      return yield* refused(payload.target, `${FilePath.display(payload.target)}: ${refusals[decision.reason]}`)
    case "Merge":
      return EntryCopied.cases.FolderMade.make({})
    case "Create":
    case "Replace":
    case "RenameTo":
      switch (stat.kind) {
        case "folder":
          yield* makeFolder(target)
          return EntryCopied.cases.FolderMade.make({})
        case "link":
          yield* copyLink(payload.source, target, stat)
          return EntryCopied.cases.Linked.make({})
        default:
          return EntryCopied.cases.Copied.make(yield* copyFile(payload.source, target))
      }
  }
})

/** Copies one entry. A source that is gone since it was listed is no failure. */
const copyEntry = (payload: Payload): Ending =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    if (payload.kind === "folderEnd") return yield* endFolder(payload)
    return yield* perform(payload, yield* files.lstat(payload.source))
  }).pipe(
    Effect.catchIf(
      (error) => error._tag === "FilesError" && error.isMissing && error.path === payload.source,
      () => Task.skip("it vanished")
    )
  )

/**
 * Layer that handles the task in this process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof CopyEntry>, never, Files.Files> = Tasks.toLayer({
  "@fanout/ops/CopyEntry": (payload) =>
    Effect.catchTags(copyEntry(payload), {
      FilesError: (error) => Effect.fail(failed(error)),
      NoFreeName: (error) => Effect.fail(refused(payload.target, error.message))
    })
})
