/**
 * What the runtime knows about one run of a job: its signal, its store, its progress.
 *
 * The manager makes one for each claim and provides it beside `JobContext`; fan-outs find it there.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type { Interrupter } from "../../Interrupter.ts"
import type { Migration } from "../../Job.ts"
import type { JobId } from "../../JobId.ts"
import type { Asked } from "../../JobRecord.ts"
import type { Flush, JobStore } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { Progress, type Reporter, type Tally } from "../../Progress.ts"
import * as Measures from "../jobMetrics.ts"

/** How long fan-outs take at most to record what they have done, after the grace of what they run. */
export const drainMillis = 1000

export interface JobRunOptions {
  readonly id: JobId
  readonly name: string
  readonly version: number
  readonly attempt: number
  /** How often the job's own retry has run the program again in this attempt. */
  readonly tries: number
  readonly token: number
  readonly store: JobStore["Service"]
  readonly signal: Interrupter
  readonly migrations: Readonly<Record<number, Migration>>
  /** What was stored of the job's progress when this run began. */
  readonly progress: Progress
}

/** The job whose checkpoints are read: by its own run, or by what cleans up after it. */
export class StoredJob extends Context.Service<
  StoredJob,
  Pick<JobRunOptions, "id" | "migrations" | "version"> & { readonly store: Pick<JobStore["Service"], "ownCheckpoint"> }
>()("@fanout/core/internal/StoredJob") {}

/** One run of a job. All its fan-outs record through `flush`, one at a time. */
export class JobRun extends Context.Service<
  JobRun,
  JobRunOptions & {
    /** Names of the fan-outs that are open, and of those that a stop has left unfinished. */
    readonly unfinished: Set<string>
    /** Names of the fan-outs that have ended in this run, or were found ended by it. */
    readonly ended: Set<string>
    /** What the program itself, and tasks that are in no fan-out, report to. */
    readonly reporter: Reporter
    /** Units that what is not settled has added so far: elements of fan-outs, by their names, and other tasks. */
    readonly partials: Map<unknown, () => ReadonlyMap<string, number>>
    /** Has what was reported stored soon. */
    readonly noteChange: () => void
    /** Stores what was reported and no fan-out has stored, where there is such and nothing is being stored. */
    readonly report: Effect.Effect<Option.Option<Asked>, JobStoreError>
    /** The same, once what is being stored is. */
    readonly reportRest: Effect.Effect<Option.Option<Asked>, JobStoreError>
    /** Records one fan-out. `tally` is evaluated inside, so that progress never goes back. */
    readonly flush: <E = never>(
      fanOut: string,
      make: () => {
        readonly flush: Omit<Flush, "token" | "fanOut" | "progress">
        readonly tally: Tally
        readonly onCommit?: Effect.Effect<void, E>
      }
    ) => Effect.Effect<void, E | JobStoreError>
  }
>()("@fanout/core/internal/JobRun") {}

export const make = (options: JobRunOptions): Effect.Effect<JobRun["Service"]> =>
  Effect.map(Semaphore.make(1), (mutex) => {
    const partial = new Map<string, number>()
    const partials = new Map<unknown, () => ReadonlyMap<string, number>>()
    const totals = new Map<string, number>(Object.entries(options.progress.totals))
    let { progress } = options
    let isChanged = false
    const noteChange = () => {
      isChanged = true
    }

    const next = (fanOuts: Progress["fanOuts"]): Progress => {
      const units: Record<string, number> = {}
      const add = (unit: string, amount: number) => {
        units[unit] = (units[unit] ?? 0) + amount
      }
      for (const one of Object.values(fanOuts)) for (const [unit, n] of Object.entries(one.units)) add(unit, n)
      for (const units of [partial, ...Array.from(partials.values(), (read) => read())]) {
        for (const [unit, n] of units) add(unit, n)
      }
      // A task that starts over adds less than it had: what is shown stays where it was.
      for (const [unit, n] of Object.entries(progress.units)) units[unit] = Math.max(n, units[unit] ?? 0)
      return new Progress({ fanOuts, totals: Object.fromEntries(totals), units })
    }

    const report = Effect.suspend(() => {
      if (!isChanged) return Effect.succeedNone
      isChanged = false
      const after = next(progress.fanOuts)
      return options.store.beat(options.id, options.token, after).pipe(
        Effect.tap(() =>
          Effect.sync(() => {
            progress = after
          })
        ),
        Effect.tapError(() => Effect.sync(noteChange))
      )
    })

    return JobRun.of({
      ...options,
      unfinished: new Set(),
      ended: new Set(),
      partials,
      noteChange,
      reporter: {
        addUnsafe: (unit, amount) => {
          partial.set(unit, (partial.get(unit) ?? 0) + amount)
          noteChange()
        },
        totalUnsafe: (unit, total) => {
          totals.set(unit, total)
          noteChange()
        }
      },
      report: Effect.map(mutex.withPermitsIfAvailable(1)(report), Option.flatten),
      reportRest: mutex.withPermit(report),
      flush: (fanOut, make) =>
        mutex.withPermit(Effect.suspend(() => {
          const { flush, onCommit, tally } = make()
          isChanged = false
          const after = next({ ...progress.fanOuts, [fanOut]: tally })
          const { id, name: job, store, token } = options
          const noted = { job, fanOut, before: progress.fanOuts[fanOut], after: tally, rows: flush.rows.length }
          return Effect.andThen(
            Measures.measured(noted)(store.flush(id, { ...flush, token, fanOut, progress: after }, onCommit)),
            Effect.sync(() => {
              progress = after
            })
          )
        }))
    })
  })
