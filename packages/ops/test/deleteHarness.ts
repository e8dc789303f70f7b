import type { JobId } from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import * as JobState from "@fanout/core/JobState"
import * as Outcome from "@fanout/core/Outcome"
import { layer, settle } from "@fanout/core/testing"
import * as Delete from "@fanout/ops/Delete"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Filter from "@fanout/ops/Filter"
import * as Trash from "@fanout/ops/Trash"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

export const p = (text: string): FilePath.FilePath => FilePath.make(text)

export interface Options {
  readonly paths?: readonly [string, ...ReadonlyArray<string>]
  readonly before?: FaultyFiles.Before
  readonly trash?: boolean
  readonly oneFileSystem?: boolean
  readonly leaveOut?: ReadonlyArray<string>
  readonly rules?: ReadonlyArray<string>
  /** Whether it is known at once how much there is in folders: then they are removed whole. */
  readonly isAtOnce?: boolean
}

/** A trash in memory: what is in there is called by where it was. */
const trashOf = (disk: MemoryFiles.Disk) =>
  Layer.succeed(Trash.Trash, {
    trash: (path) =>
      Effect.suspend(() => {
        if (path.includes("heavy")) return Effect.fail(new Trash.TrashFailed({ path, why: "it is full" }))
        if (disk.see(path) !== undefined) disk.rename(path, `/trash/${path.replaceAll("/", "_")}`)
        return Effect.void
      })
  })

const outcomeText = Outcome.Outcome.match({
  Done: () => "done",
  Skipped: ({ reason }) => `skipped: ${reason}`,
  Failed: ({ failure }) => `failed: ${Outcome.message(failure)}`
})

const jobs = layer({ jobs: [Delete.job] }).pipe(Layer.provide(Delete.layer))

/** Everything that runs deletions on this disk. */
export const runtime = (
  disk: MemoryFiles.Disk,
  before: FaultyFiles.Before = () => Effect.void,
  isAtOnce = false
) => {
  const files = FaultyFiles.intercept(MemoryFiles.make(disk), before)
  return Layer.provideMerge(
    jobs,
    Layer.mergeAll(
      Layer.succeed(Files.Files, isAtOnce ? files : { ...files, atOnce: () => Effect.succeedNone }),
      trashOf(disk)
    )
  )
}

export const plan = (
  { leaveOut = [], oneFileSystem = true, paths: [first, ...others] = ["/in"], rules, trash = false }: Options = {}
) =>
  Delete.plan({
    paths: [p(first), ...others.map(p)],
    trash,
    oneFileSystem,
    ...(rules === undefined ? {} : { rules: rules.map((rule) => Filter.Rule.make(rule)) })
  }, leaveOut.map(p))

/** What a job has come to. */
export const look = Effect.fnUntraced(function*(id: JobId) {
  const manager = yield* JobManager.JobManager
  const { exit, state } = yield* manager.get(id)
  const rows = yield* Stream.runCollect(manager.outcomes(id))
  const { units } = yield* manager.progress(id)
  return {
    state: state._tag,
    why: Option.match(exit, { onNone: () => "", onSome: (exit) => "message" in exit ? exit.message : "" }),
    rows: rows.filter(({ outcome }) => outcome._tag !== "Done").map(({ key, outcome }) =>
      `${key} ${outcomeText(outcome)}`
    ),
    files: units["removedFiles"] ?? 0,
    folders: units["removedFolders"] ?? 0
  }
})

/** Lets a job run to its end. */
export const rest = Effect.fnUntraced(function*(id: JobId) {
  const manager = yield* JobManager.JobManager
  for (let i = 0; i < 100; i++) {
    yield* settle
    yield* TestClock.adjust("1 second")
    const { state } = yield* manager.get(id)
    if (JobState.isTerminal(state) || state._tag === "Paused") break
  }
  return yield* look(id)
})

/** Deletes by a job, and tells what that came to. */
export const remove = (disk: MemoryFiles.Disk, options: Options = {}) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const { id } = yield* manager.start(Delete.job, yield* plan(options))
    return yield* rest(id)
  }).pipe(Effect.provide(runtime(disk, options.before, options.isAtOnce)))
