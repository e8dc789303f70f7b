import * as JobManager from "@fanout/core/JobManager"
import * as Outcome from "@fanout/core/Outcome"
import * as Pools from "@fanout/core/Pools"
import { layer, settle } from "@fanout/core/testing"
import * as Copy from "@fanout/ops/Copy"
import * as CopyChecksum from "@fanout/ops/CopyChecksum"
import type * as CopyOptions from "@fanout/ops/CopyOptions"
import * as CopyPreview from "@fanout/ops/CopyPreview"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Filter from "@fanout/ops/Filter"
import * as HardLinks from "@fanout/ops/HardLinks"
import type { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as Move from "@fanout/ops/Move"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { QuickFiles } from "../src/internal/files/quickFiles.ts"
import type * as Conflict from "../src/internal/steps/conflict.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

/** A tree to copy: what the job meets of each kind. */
export const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/from/folder", "/to"]) disk.folder(folder)
  disk.file("/from/a", "text of a", { mode: 0o640, modified: 1_111_111n })
  disk.file("/from/folder/b", "text of b")
  disk.symlink("/from/link", "folder/b")
  disk.special("/from/pipe")
  return disk
}

const runtime = layer({ jobs: [Copy.job, Move.job] }).pipe(
  Layer.provide(Layer.provide(Layer.merge(Copy.layer, Move.layer), Pools.layer({ io: 4 })))
)

const outcomeText = Outcome.Outcome.match({
  Done: () => "done",
  Skipped: ({ reason }) => `skipped: ${reason}`,
  Failed: ({ failure }) => `failed: ${Outcome.message(failure)}`
})

type Memory = HardLinks.HardLinks["Service"]

/** Remembers files with several names in memory. */
export const remembering = (): Memory & { readonly known: ReadonlyMap<string, FilePath.FilePath> } => {
  const known = new Map<string, FilePath.FilePath>()
  return {
    known,
    find: (job, editions) =>
      Effect.sync(() =>
        new Map(editions.flatMap((edition) => {
          const target = known.get(`${job} ${edition}`)
          return target === undefined ? [] : [[edition, target]]
        }))
      ),
    add: (job, edition, target) => Effect.sync(() => void known.set(`${job} ${edition}`, target)),
    forget: () => Effect.sync(() => known.clear())
  }
}

export interface Options {
  /** What is copied into `/to`, in place of `/from` to `/to/copy`. */
  readonly sources?: Arr.NonEmptyReadonlyArray<string>
  /** Whether files of a folder are copied together, as where calls are quick; where that changes, in each run anew. */
  readonly together?: boolean | (() => boolean)
  readonly before?: FaultyFiles.Before
  readonly conflict?: Conflict.Mode
  readonly leaveOut?: ReadonlyArray<string>
  readonly preserve?: ReadonlyArray<CopyOptions.Property>
  readonly durable?: boolean
  readonly dereference?: boolean
  readonly verify?: boolean
  /** Has checksums told, and leaves out the file that these are to be written to, if that has a path. */
  readonly checksums?: HashAlgorithm
  readonly output?: string
  /** What the destination is called in there. */
  readonly called?: string
  /** Whether it is a move. */
  readonly moves?: boolean
  /** What is done once it is stopped, before it goes on. */
  readonly whenStopped?: Effect.Effect<void>
  /** What remembers files with several names. */
  readonly hardLinks?: Memory
  readonly rules?: ReadonlyArray<string>
  /** Lets it go on, once, where it was paused, and tries again what has failed. */
  readonly goesOn?: boolean
}

const filesOf = (disk: MemoryFiles.Disk, { before = () => Effect.void, together = false }: Options) => {
  const files = FaultyFiles.intercept(MemoryFiles.make(disk), before)
  const isQuick = () => typeof together === "boolean" ? together : together()
  const quick = Effect.sync(() => isQuick() ? Option.some(files) : Option.none())
  return Layer.merge(
    Layer.succeed(Files.Files, files),
    Layer.succeed(QuickFiles, { throughout: () => quick, isSlow: () => false })
  )
}

const plan = (options: Options) => {
  const { checksums, conflict = "changed", dereference = false, durable = false, leaveOut = [], output } = options
  const { called, preserve, rules, verify = false } = options
  const sources: Arr.NonEmptyReadonlyArray<string> = options.sources ?? ["/from"]
  return Copy.plan(
    {
      sources: Arr.map(sources, (source) => FilePath.make(source)),
      destination: FilePath.make(options.sources === undefined ? "/to/copy" : "/to"),
      noTargetDirectory: options.sources === undefined,
      conflict,
      ...dereference ? { dereference } : {},
      ...durable ? { durable } : {},
      ...verify ? { verify } : {},
      ...checksums === undefined ? {} : {
        checksums: { algorithm: checksums, ...output === undefined ? {} : { output: FilePath.make(output) } }
      },
      ...preserve === undefined ? {} : { preserve },
      ...rules === undefined ? {} : { rules: rules.map((rule) => Filter.Rule.make(rule)) }
    },
    leaveOut.map(FilePath.make),
    called === undefined ? undefined : FilePath.make(called)
  )
}

/** What would become of `/from`, copied to `/to/copy`. */
export const preview = (disk: MemoryFiles.Disk, options: Options = {}) =>
  Effect.flatMap(plan(options), (payload) => Stream.runCollect(CopyPreview.entries(payload))).pipe(
    Effect.provide(filesOf(disk, options))
  )

/** Copies `/from` to `/to/copy` by a job, and tells what that came to. */
export const copy = (disk: MemoryFiles.Disk, options: Options = {}) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const payload = yield* plan(options)
    const { id } = yield* manager.start(options.moves === true ? Move.job : Copy.job, payload)
    const untilStopped = Effect.andThen(settle, TestClock.adjust("10 seconds"))
    yield* untilStopped
    const stopped = (yield* manager.get(id)).state._tag
    yield* options.whenStopped ?? Effect.void
    if (options.goesOn === true && stopped !== "Completed") {
      yield* Effect.andThen(stopped === "Paused" ? manager.resume(id) : manager.retry(id), untilStopped)
    }
    const rows = yield* Stream.runCollect(manager.outcomes(id))
    return {
      state: (yield* manager.get(id)).state._tag,
      progress: yield* manager.progress(id),
      rows: rows.flatMap(({ key, outcome }) => outcome._tag === "Done" ? [] : [`${key} ${outcomeText(outcome)}`]),
      /** By paths, as a checksum file has them. */
      checksums: rows.flatMap(CopyChecksum.fromRow).map(({ digest, path }) => `${digest}  ${path}`).toSorted()
    }
  }).pipe(
    Effect.provide(Layer.provideMerge(runtime, filesOf(disk, options))),
    Effect.provideService(HardLinks.HardLinks, options.hardLinks ?? remembering())
  )

/** What names a job of this request. */
export const keyOf = (request: Copy.Request) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const transfers = [{ source: FilePath.make("/from"), target: FilePath.make("/to/copy") }] as const
    const { id } = yield* manager.start(Copy.job, { request, transfers, leaveOut: [] })
    return (yield* manager.get(id)).idempotencyKey
  }).pipe(
    Effect.provide(Layer.provideMerge(runtime, filesOf(plant(), {}))),
    Effect.provide(HardLinks.layerNone)
  )
