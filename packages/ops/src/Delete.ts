/**
 * Job: deletes files and folders, and objects at addresses, durably.
 *
 * The folders that are to go are gathered into batches, each of which is emptied of its files and removed by whoever
 * has the time. What is left is walked once more, thing by thing: so what can't be removed is told by its own name and
 * reason, and can be tried again by itself. Everything is removed by a name in a folder that was reached by handles
 * from its root.
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import type * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { DeleteError, Reason } from "./DeleteError.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import * as Filter from "./Filter.ts"
import * as DeleteBatchLive from "./internal/delete/deleteBatchLive.ts"
import * as DeleteElements from "./internal/delete/deleteElements.ts"
import * as DeleteOneLive from "./internal/delete/deleteOneLive.ts"
import * as DeleteRoot from "./internal/delete/deleteRoot.ts"
import { DeleteBatch, DeleteOne } from "./internal/delete/deleteTask.ts"
import { ObjectDeletion } from "./internal/delete/objectDeletion.ts"
import { whileThere } from "./internal/work/diskPause.ts"
import * as ElementCount from "./internal/work/elementCount.ts"
import { filesAtOnce } from "./internal/work/fileConcurrency.ts"
import * as JobFileSystems from "./internal/work/jobFileSystems.ts"
import { removedUnits } from "./ProgressUnits.ts"
import type { Trash } from "./Trash.ts"

/**
 * Schema for what is to be deleted, as it was asked for: it names the job, so that the same request finds it again.
 *
 * @category schemas
 */
export const Request = Schema.Struct({
  /** Absolute, or addresses; a slash at the end is kept. */
  paths: Schema.NonEmptyArray(FilePath.FilePath),
  /** Moves them to the trash instead. */
  trash: Schema.Boolean,
  /** Leaves what is mounted in them. */
  oneFileSystem: Schema.Boolean,
  /** What is left below the paths, and with it the folders that it is in. */
  rules: Schema.optionalKey(Schema.Array(Filter.Rule))
})
export type Request = typeof Request.Type

/**
 * Schema for the payload of the job: the request, and what was at its paths when it started.
 *
 * @category schemas
 */
export const Payload = Schema.Struct({
  request: Request,
  roots: Schema.NonEmptyArray(DeleteRoot.DeleteRoot),
  /** Files that are not deleted: those of the job's own database. Without links above their names. */
  leaveOut: Schema.Array(FilePath.FilePath),
  /** What the folders of the roots were on when the job was planned, where that has a name. */
  homes: Schema.optionalKey(Schema.Array(JobFileSystems.Home))
})
export type Payload = typeof Payload.Type

/**
 * Schema for what the job came to.
 *
 * @category schemas
 */
export const Success = Schema.Struct({
  /** Files, links, objects and everything else that is no folder. */
  files: Schema.Natural,
  folders: Schema.Natural,
  trashed: Schema.Natural,
  failed: Schema.Natural,
  skipped: Schema.Natural
})

/**
 * The job.
 *
 * @category constructors
 */
export const job = Job.make("delete", {
  payload: Payload,
  success: Success,
  error: DeleteError,
  idempotencyKey: ({ request }) => JSON.stringify(request),
  exclusiveKey: ({ request }) => JSON.stringify(request.paths)
})

/**
 * Finds what is to be deleted, and refuses what must not be. An address needs `Clouds.layerFiles`.
 *
 * @category running
 */
export const plan = Effect.fnUntraced(function*(
  request: Request,
  leaveOut: ReadonlyArray<FilePath.FilePath> = []
): Effect.fn.Return<Payload, DeleteError, Files.Files> {
  const roots = yield* DeleteRoot.resolve(request, leaveOut)
  const address = request.trash ? roots.find(({ path }) => FilePath.isAddress(path)) : undefined
  if (address !== undefined) {
    const why = `"${FilePath.display(address.path)}" can't go to the trash, since an object store has none`
    return yield* new DeleteError({ reason: Reason.cases.Address.make({ why }) })
  }
  const holder = roots.find(({ path }) => leaveOut.some((file) => FilePath.isWithin(file, path)))
  if (request.trash && holder !== undefined) {
    return yield* new DeleteError({ reason: Reason.cases.HoldsDatabase.make({ path: holder.path }) })
  }
  const files = roots.filter(({ path }) => !FilePath.isAddress(path))
  return { request, roots, leaveOut, homes: yield* JobFileSystems.find(files.map(({ path }) => FilePath.parent(path))) }
})

/** Most batches that are on their way to threads at the same time. */
const mostBatches = 32

/** So many batches are known beforehand: each has up to 64 folders, and up to 2,048 characters of names. */
const mostAhead = 1024

/** What was removed in between is not counted after a crash. */
const flushInterval = "50 millis"

/** What a batch has not come to takes its place. */
const parts: FanOut.Parts<Task.Payload<typeof DeleteBatch>, Task.Success<typeof DeleteBatch>> = (
  { cursor, payload },
  value
) => {
  if (Option.isNone(value) || value.value.rest.length === 0) return undefined
  return [Source.item(cursor, { ...payload, folders: value.value.rest })]
}

const sum = (tallies: ReadonlyArray<Progress.Tally>): typeof Success.Type => {
  const of = (amount: (tally: Progress.Tally) => number | undefined): number =>
    tallies.reduce((sum, tally) => sum + (amount(tally) ?? 0), 0)
  return {
    files: of((tally) => tally.units[removedUnits.files]),
    folders: of((tally) => tally.units[removedUnits.folders]),
    trashed: of((tally) => tally.tags["Trashed"]),
    failed: of((tally) => tally.failed),
    skipped: of((tally) => tally.skipped)
  }
}

/** The roots, each of which goes to the trash as a whole. */
const trashable = ({ request: { oneFileSystem }, roots }: Payload, after: Option.Option<string>) => {
  const first = Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })
  return Stream.fromIterable(
    roots.slice(first).map((root, index) =>
      Source.item(String(first + index), { root, oneFileSystem, kind: "trash" as const, path: FilePath.empty })
    )
  )
}

/** Removes objects, where there are some, and tells how much there is of these and of files. */
const removeObjects = Effect.fnUntraced(function*(payload: Payload, files: Effect.Effect<ElementCount.Amounts>) {
  if (!payload.roots.some(DeleteRoot.isObject)) {
    yield* ElementCount.countBeside(files)
    return []
  }
  const { count, remove } = (yield* ObjectDeletion).of(payload)
  yield* ElementCount.countBeside(Effect.zipWith(count, files, ElementCount.sum, { concurrent: true }))
  return [yield* remove]
})

/** The first folder that is still there. What is no folder is removed or told of the first time that it is met. */
const findLeft = Effect.fnUntraced(function*(payload: Payload) {
  for (const root of DeleteElements.present(payload)) {
    if (root.kind !== "folder") continue
    // What can't be looked at is told by what has failed.
    const state = yield* Effect.orElseSucceed(DeleteRoot.state(root), () => "Gone" as const)
    if (state === "Same") return root.path
  }
  return undefined
})

/**
 * What there is to delete. The walk goes ahead of the work, as it does nearly all of its own: so it is known how much
 * there is once it is through, and nothing is walked twice.
 */
const entries = (payload: Payload, met: ElementCount.Met<DeleteElements.Met>) => (after: Option.Option<string>) =>
  DeleteElements.batches(payload, met.noting(DeleteElements.walkFolders(payload, after), after)).pipe(
    Stream.buffer({ capacity: mostAhead })
  )

/**
 * The job's program, for whoever gives it the handlers of its tasks another way than by a layer.
 *
 * @category running
 */
export const program = (payload: Payload) => whileThere(payload.homes, remove(payload))

const remove = Effect.fnUntraced(function*(payload: Payload) {
  const { fanOut } = yield* TaskDispatcher
  const { attempt } = yield* JobContext
  const files = yield* Files.Files
  yield* DeleteRoot.verify(payload.roots)
  if (payload.request.trash) {
    yield* Progress.total("items", payload.roots.length)
    return sum([yield* fanOut("trash", DeleteOne, (after) => trashable(payload, after))])
  }
  const quick = Option.getOrElse(yield* DeleteElements.quickFiles(payload), () => files)
  const met = new ElementCount.Met(DeleteElements.removables())
  const source = (after: Option.Option<string>) =>
    Stream.provideService(entries(payload, met)(after), Files.Files, quick)
  const concurrency = Math.min(mostBatches, yield* filesAtOnce)
  const tallies = yield* removeObjects(payload, met.whole)
  tallies.push(yield* fanOut("entries", DeleteBatch, source, { concurrency, flushInterval, parts }))
  // Where something is left that has neither failed nor was left on purpose, others have put it there meanwhile.
  for (let round = 1; round <= attempt + 1; round++) {
    const name = round === 1 ? "leftovers" : `leftovers ${round}`
    // What is another one by now was made after the one that was named was removed.
    const options = { replaced: yield* DeleteElements.replacedOf(payload), isFirst: round === 1 }
    tallies.push(yield* fanOut(name, DeleteOne, (after) => DeleteElements.leftovers(payload, after, options)))
    const sums = sum(tallies)
    if (payload.request.rules !== undefined || sums.failed + sums.skipped > 0) return sums
    const path = yield* findLeft(payload)
    if (path === undefined) return sums
    if (round > attempt) return yield* new DeleteError({ reason: Reason.cases.StillThere.make({ path }) })
  }
  return sum(tallies)
})

/**
 * Layer that supplies the job's program, for any file system. All work is done on fibers.
 *
 * @category layers
 */
export const layer: Layer.Layer<Job.ToProgram<typeof job>, never, Files.Files | Trash> = job.toLayer(program).pipe(
  Layer.provide([DeleteBatchLive.layer, DeleteOneLive.layer])
)
