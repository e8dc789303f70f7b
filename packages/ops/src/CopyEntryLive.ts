/**
 * Handler of the task `CopyEntry`: decides what is to happen to an entry, and has it done by the strategy for its kind.
 *
 * @since 0.1.0
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as JobId from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Conflict from "./Conflict.ts"
import { CopyEntry, EntryCopied, EntryFailed } from "./CopyEntry.ts"
import type { CopyError } from "./CopyError.ts"
import { CopyRouter } from "./CopyRouter.ts"
import * as Router from "./CopyRouter.ts"
import { type Lost, lostUnits } from "./CopyStrategy.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type { FilesError } from "./FilesError.ts"
import * as FolderCopy from "./FolderCopy.ts"
import type { NoFreeName } from "./NumberedName.ts"
import { SkipReason } from "./SkipReason.ts"
import * as TemporaryName from "./TemporaryName.ts"

class Tasks extends RpcGroup.make(CopyEntry) {}

type Payload = Task.Payload<typeof CopyEntry>

// Once a copy that may be repeated has begun, its own work is in the destination: what was decided before stands.
const decided = TaskCheckpoint.make(Conflict.Decision)

/** Modes that could take their own work for somebody else's. */
const meetsItself = (mode: Conflict.Mode): boolean => mode === "skip" || mode === "rename" || mode === "error"

const plan = Effect.fnUntraced(function*({ conflict, source, target }: Payload, stat: Files.FileStat) {
  const decision = yield* Conflict.resolve(conflict, { path: source, stat }, target)
  const writes = decision._tag === "Create" || decision._tag === "RenameTo"
  if (writes && meetsItself(conflict)) yield* decided.commit(decision)
  return decision
})

const noJob = JobId.make("none")

/** Copies what is to be copied; a folder without what is in it. */
const perform = Effect.fnUntraced(function*(payload: Payload, stat: Files.FileStat, decision: Conflict.Decision) {
  switch (decision._tag) {
    case "Unchanged":
      return EntryCopied.cases.Unchanged.make({})
    case "Merge":
      return EntryCopied.cases.FolderMade.make({})
    case "Skip":
      return yield* Task.skip(Conflict.why(decision))
    case "Refuse": {
      const why = `${FilePath.display(payload.target)}: ${Conflict.why(decision)}`
      return yield* new EntryFailed({ code: "Refused", path: payload.target, why })
    }
    default: {
      const router = yield* CopyRouter
      const { job, token } = yield* Lease.Lease
      const target = Conflict.placeOf(decision, payload.target)
      const copied = yield* router.copy({
        source: payload.source,
        stat,
        target,
        temporary: TemporaryName.make(Option.getOrElse(job, () => noJob), token, target),
        placing: meetsItself(payload.conflict) ? "exclusive" : "replace"
      })
      yield* countLost(copied.lost)
      if (stat.kind === "folder") return EntryCopied.cases.FolderMade.make({})
      if (stat.kind === "link") return EntryCopied.cases.Linked.make({})
      return EntryCopied.cases.Copied.make(copied)
    }
  }
})

const countLost = (lost: ReadonlyArray<Lost>): Effect.Effect<void> =>
  Effect.forEach(lost, (property) => Progress.add(lostUnits[property], 1), { discard: true })

/** How often a name may be taken by others between the decision and the copy. */
const maxDecisions = 16

const copyOne = Effect.fnUntraced(function*(payload: Payload) {
  const files = yield* Files.Files
  const stat = yield* files.lstat(payload.source)
  const decideAndCopy = Effect.flatMap(plan(payload, stat), (decision) => perform(payload, stat, decision)).pipe(
    // Others may take a name between the decision and the copy; then it is decided again.
    Effect.retry({ times: maxDecisions, while: isOccupied })
  )
  const earlier = yield* decided.get
  if (Option.isNone(earlier)) return yield* decideAndCopy
  return yield* Effect.catchIf(perform(payload, stat, earlier.value), isOccupied, () =>
    Effect.gen(function*() {
      const target = Conflict.placeOf(earlier.value, payload.target)
      const found = yield* Conflict.resolve("changed", { path: payload.source, stat }, target)
      // What is there now is what an attempt before this one has copied, or somebody else's.
      return found._tag === "Unchanged" ? copiedBefore(stat) : yield* decideAndCopy
    }))
})

const copiedBefore = ({ kind, sizeBytes }: Files.FileStat): typeof EntryCopied.Type =>
  kind === "link"
    ? EntryCopied.cases.Linked.make({})
    : EntryCopied.cases.Copied.make({ strategy: "before", sizeBytes })

const isOccupied = (error: { readonly _tag: string }): boolean =>
  error._tag === "CopyError" && "reason" in error && Predicate.isTagged(error.reason, "Occupied")

/** Gives a folder its mode and times, once nothing is written in it any more. */
const endFolder = Effect.fnUntraced(function*({ source, target }: Payload) {
  const { job, token } = yield* Lease.Lease
  // Owners before this one may have left temporary files here.
  if (token > 1 && Option.isSome(job)) yield* TemporaryName.sweep({ folder: target, job: job.value, before: token })
  yield* countLost(yield* FolderCopy.finish(source, target))
  return EntryCopied.cases.FolderEnded.make({})
})

const failed = (error: CopyError | FilesError | NoFreeName, path: FilePath.FilePath): EntryFailed => {
  const cause = error._tag === "CopyError" && error.reason._tag === "CallFailed" ? error.reason.error : error
  const code = cause._tag === "FilesError" ? cause.code : cause._tag === "CopyError" ? cause.reason._tag : cause._tag
  return new EntryFailed({ code, path, why: error.message })
}

type Ending<E> = Effect.Effect<
  typeof EntryCopied.Type,
  E | EntryFailed | Interrupted | Task.Skipped,
  CopyRouter | Files.Files
>

const copyOrFail = (payload: Payload): Ending<CopyError | FilesError | NoFreeName> =>
  payload.kind === "folderEnd" ? endFolder(payload) : copyOne(payload)

/** Copies one entry. A source that is gone since it was listed is no failure. */
const copy = (payload: Payload): Ending<never> =>
  Effect.catchTags(copyOrFail(payload), {
    CopyError: (error) =>
      error.reason._tag === "Vanished" ? Task.skip(SkipReason.Vanished) : Effect.fail(failed(error, payload.source)),
    FilesError: (error) =>
      error.isMissing && error.path === payload.source
        ? Task.skip(SkipReason.Vanished)
        : Effect.fail(failed(error, payload.source)),
    NoFreeName: (error) => Effect.fail(failed(error, payload.target))
  })

/**
 * Layer that handles the task in this process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof CopyEntry>, never, Files.Files> = Tasks.toLayer({
  "@fanout/ops/CopyEntry": copy
}).pipe(Layer.provide(Router.layer))
