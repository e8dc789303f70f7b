/**
 * Job: makes thumbnails of images, videos and PDFs, durably.
 *
 * They are in one folder, by what files hold and not by what these are called: files with the same content have them
 * once, and a file that was renamed has them still. What is there is not made again.
 */
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import type * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { FilesError } from "./FilesError.ts"
import * as QuickFiles from "./internal/files/quickFiles.ts"
import * as TemporaryName from "./internal/path/temporaryName.ts"
import { makeReadable } from "./internal/thumbnail/thumbnailFolder.ts"
import * as FileTree from "./internal/tree/fileTree.ts"
import * as Sources from "./internal/tree/sources.ts"
import { pathIn, pauseOn, pausing, whileThere } from "./internal/work/diskPause.ts"
import { countBeside } from "./internal/work/elementCount.ts"
import { filesAtOnce } from "./internal/work/fileConcurrency.ts"
import * as JobFileSystems from "./internal/work/jobFileSystems.ts"
import { MakeThumbnails } from "./ThumbnailTask.ts"
import { Format, ThumbnailVariant } from "./ThumbnailVariant.ts"

/**
 * Schema for what thumbnails are to be made of, and how.
 *
 * @category schemas
 */
export const Payload = Schema.Struct({
  /** Files and folders, absolute and without links. Links in folders are passed over. */
  sources: Schema.NonEmptyArray(FilePath.FilePath),
  /** Folder that thumbnails are in, absolute and without links. Nothing is made of what is in there. */
  output: FilePath.FilePath,
  variants: Schema.NonEmptyArray(ThumbnailVariant),
  format: Format,
  /** What sources and the folder were on when the job was planned, where that has a name. */
  homes: Schema.optionalKey(Schema.Array(JobFileSystems.Home))
})
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many files came to what; each has a row that tells it.
 *
 * @category constructors
 */
export const job = Job.make("thumbnail", {
  payload: Payload,
  success: Progress.Tally,
  idempotencyKey: ({ format, output, sources, variants }) => JSON.stringify([sources, output, variants, format])
})

/** Finds the folder for thumbnails, or makes it in a folder that is there. */
const findOutput = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const files = yield* Files.Files
  if (Option.isNone(yield* files.find(path))) {
    const folder = yield* files.folder(yield* files.realPath(FilePath.parent(path)))
    yield* makeReadable(folder, FilePath.name(path))
  }
  const found = yield* files.realPath(path)
  const { kind } = yield* files.lstat(found)
  if (kind === "folder") return found
  return yield* new FilesError({ call: "mkdir", code: "EEXIST", path, target: Option.none() })
}, Effect.scoped)

/**
 * Works out what is named: where links lead. What can't be found stays as it is, and fails then. The folder for
 * thumbnails is made, if the one that it is in is there.
 *
 * @category running
 */
export const plan = Effect.fnUntraced(function*(
  payload: Payload
): Effect.fn.Return<Payload, FilesError, Files.Files> {
  const { realPath } = yield* Files.Files
  const sources = yield* Effect.forEach(payload.sources, (path) => Effect.orElseSucceed(realPath(path), () => path))
  const output = yield* findOutput(payload.output)
  return { ...payload, sources, output, homes: yield* JobFileSystems.find([...sources, output]) }
})

/**
 * Name of the fan-out whose rows tell what became of each file.
 *
 * @category models
 */
export const fanOutName = "files"

const walk = ({ sources }: Payload, after: Option.Option<string> = Option.none()) =>
  QuickFiles.walking(sources, FileTree.walk({ sources, after }))

/** Files, and what is told of others, in the order of the walk. */
const elements = (
  id: JobId,
  { format, output, sources, variants }: Payload,
  walked: ReturnType<typeof walk>
) => {
  const endings = new Sources.SourceEndings(id, { sources, leaveOut: [] })
  return walked.pipe(
    Stream.map((element): Source.Element<Task.Payload<typeof MakeThumbnails>> | undefined => {
      const { cursor } = element
      const outcome = endings.of(element)
      const path = endings.absolute(element)
      if (outcome === "passed" || FilePath.isWithin(path, output)) return undefined
      return outcome === "read"
        ? Source.item(cursor, { path, output, variants, format })
        : Source.settled(cursor, { key: FilePath.display(path), outcome })
    }),
    Stream.filter((element) => element !== undefined)
  )
}

/** Removes what processes of the job that were ended have left. A folder that can't be written keeps it. */
const sweep = ({ output }: Payload, options: { readonly job: JobId; readonly before?: number }) =>
  Files.Files.use((files) => files.folder(output)).pipe(
    Effect.flatMap((folder) => TemporaryName.sweep({ folder, ...options })),
    Effect.scoped,
    Effect.ignore
  )

/**
 * The job's program, for whoever gives it the handler of its task another way than by a layer.
 *
 * @category running
 */
export const program = (payload: Payload) => whileThere(payload.homes, makeAll(payload))

const makeAll = Effect.fnUntraced(function*(payload: Payload) {
  const { fanOut } = yield* TaskDispatcher
  const { id, token } = yield* JobContext
  const concurrency = yield* filesAtOnce
  if (token > 1) yield* sweep(payload, { job: id, before: token })
  yield* countBeside(Effect.map(Stream.runCount(elements(id, payload, walk(payload))), (items) => ({ items })))
  const source = (after: Option.Option<string>) =>
    elements(id, payload, pausing(walk(payload, after), pathIn(payload.sources)))
  const options = { keep: "all", concurrency, pauseOn } as const
  const tally = yield* fanOut(fanOutName, MakeThumbnails, source, options)
  // It collects failures, so it never gives up.
  // Those of this run that were ended have left something, too.
  yield* sweep(payload, { job: id })
  return tally
})

/**
 * Removes every temporary file that the job has left.
 *
 * @category running
 */
export const onCancel = (payload: Payload, id: JobId): Effect.Effect<void, never, Files.Files> =>
  Effect.asVoid(sweep(payload, { job: id }))

/**
 * Layer that supplies the job's program.
 *
 * @category layers
 */
export const layer: Layer.Layer<
  Job.ToProgram<typeof job>,
  never,
  Files.Files | Task.Handler<typeof MakeThumbnails>
> = job.toLayer(program, { onCancel })
