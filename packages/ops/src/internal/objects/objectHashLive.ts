/**
 * Has objects be hashed, and checked by checksum files, as files are.
 */
import type { JobContext } from "@fanout/core/JobContext"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { CheckFailed } from "../../ChecksumLine.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import * as Hash from "../../Hash.ts"
import * as HashCheck from "../../HashCheck.ts"
import { checkFiles } from "../hash/checkBatch.ts"
import { hashFiles } from "../hash/hashBatch.ts"
import { CheckFiles, type HashedFiles, HashFiles, named, ThreadTasks } from "../hash/hashTask.ts"
import { SourceWalk } from "../tree/sourceWalk.ts"
import { pauseNameOf } from "../work/diskPause.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"
import * as ObjectFiles from "./objectFiles.ts"
import { errorIn, whenReachable } from "./objectReach.ts"
import * as ObjectTree from "./objectTree.ts"

type Payload = Task.Payload<typeof HashFiles>

const pathsOf = ({ folders, root }: Payload): ReadonlyArray<FilePath.FilePath> =>
  folders.flatMap(({ names, path }) => names.map((name) => FilePath.join(FilePath.join(root, path), name)))

/** What went wrong with an object, if all of its store may meet that. */
const troubleIn = (exit: Exit.Exit<HashedFiles, unknown>) =>
  Exit.isSuccess(exit)
    ? exit.value.unhashed
      .flatMap(({ why }) => why._tag === "Failed" ? [why] : [])
      .find(({ code }) => pauseNameOf(code) !== undefined)
    : undefined

/** What is wrong with one bucket is not so with all that a file names. */
const ofOneBucket: ReadonlySet<string> = new Set(["BucketMissing", "Misconfigured", "RegionWrong"])

/** The same of one that was checked. */
const troubleInCheck = errorIn((error): error is CheckFailed =>
  error instanceof CheckFailed && !ofOneBucket.has(error.code)
)

/** What a job needs that hashes objects, in place of what one of files does. */
const provisions = Effect.gen(function*() {
  const { access, files: all } = yield* ObjectFiles.withObjects()
  const job = yield* Effect.context<JobContext>()
  // There is no object that is read at once.
  const files = { ...all, atOnce: () => Effect.succeedNone }
  const leaving = yield* Effect.provideService(ProtectedFiles.leaving, Files.Files, files)
  const hash = (payload: Payload) => {
    return Effect.provideService(
      whenReachable(access.at, pathsOf(payload), hashFiles(payload), troubleIn),
      Files.Files,
      files
    )
  }
  const check = ({ leaveOut = [], ...payload }: Task.Payload<typeof CheckFiles>) => {
    const paths = payload.paths.map((path) => named(payload.root, path))
    return leaving(leaveOut, whenReachable(access.at, paths, checkFiles(payload), troubleInCheck)).pipe(
      Effect.provideService(Files.Files, files)
    )
  }
  const walk: SourceWalk["walk"] = (options, isCounted) =>
    Stream.provideContext(ObjectTree.pausing(ObjectTree.walk(access, { ...options, isCounted })), job)
  return Layer.mergeAll(
    Layer.succeed(Files.Files, files),
    Layer.succeed(SourceWalk, { walk, together: undefined }),
    ThreadTasks.toLayer({ [HashFiles._tag]: hash, [CheckFiles._tag]: check })
  )
})

/** Program of a job that hashes objects. */
export const program = (payload: Hash.Payload) => Effect.provide(Hash.program(payload), Layer.unwrap(provisions))

/** Program of a job that checks objects by a checksum file. */
export const check = (payload: HashCheck.Payload) =>
  Effect.provide(HashCheck.program(payload), Layer.unwrap(provisions))
