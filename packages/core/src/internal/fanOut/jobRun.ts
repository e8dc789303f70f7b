/**
 * One run of a job, as its fan-outs see it: the stop signal, the store, the progress.
 *
 * The manager makes one `JobRun` for each claim and provides it beside `JobContext`.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type { Interrupter } from "../../Interrupter.ts"
import type { Migration } from "../../Job.ts"
import type { JobId } from "../../JobId.ts"
import type { Asked } from "../../JobRecord.ts"
import type { Choice } from "../../JobState.ts"
import type { Flush, JobStore } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { Progress, type Reporter, type Tally } from "../../Progress.ts"
import * as Measures from "../jobMetrics.ts"
import * as Sums from "../sums.ts"
import { TaskTimes } from "../task/taskTimes.ts"

/** Milliseconds that a fan-out may take to record its last ends, after the grace of its tasks. */
export const drainMillis = 1000

export interface JobRunOptions {
  readonly id: JobId
  readonly name: string
  readonly version: number
  readonly attempt: number
  /** How often the retry of the job has run the program again in this attempt. */
  readonly tries: number
  /** The failed elements that this attempt runs again. `undefined` stands for all of them. */
  readonly only: Choice | undefined
  readonly token: number
  readonly store: JobStore["Service"]
  readonly signal: Interrupter
  readonly migrations: Readonly<Record<number, Migration>>
  /** The stored progress of the job when this run began. */
  readonly progress: Progress
  /** Time at which this run began, in milliseconds since the epoch. */
  readonly startedAt: number
}

/** The job whose checkpoints are read, by its own run or by its clean-up. */
export class StoredJob extends Context.Service<
  StoredJob,
  Pick<JobRunOptions, "id" | "migrations" | "version"> & { readonly store: Pick<JobStore["Service"], "ownCheckpoint"> }
>()("@fanout/core/internal/StoredJob") {}

/** One run of a job. All its fan-outs record through `flush`, one at a time. */
export class JobRun extends Context.Service<
  JobRun,
  JobRunOptions & {
    /** Names of the fan-outs that are open or were left unfinished by a stop. */
    readonly unfinished: Set<string>
    /** Names of the fan-outs that this run has ended or found ended. */
    readonly ended: Set<string>
    /** How long the tasks of this run have waited and run. */
    readonly times: TaskTimes
    /** Receives the progress of the program and of tasks outside of fan-outs. */
    readonly reporter: Reporter
    /** The units that unsettled work has added so far: of fan-outs by name, of other tasks by themselves. */
    readonly partials: Map<unknown, () => ReadonlyMap<string, number>>
    /** Notes that unstored progress was reported. */
    readonly noteChange: () => void
    /** The progress as it is now, with what is not stored yet. */
    readonly latest: () => Progress
    /** Shows what other jobs have come to for this job, beside its fan-outs. */
    readonly show: (name: string, tally: Tally) => Effect.Effect<void>
    /** Takes the rates of the last seconds. */
    readonly reportRates: (rates: Readonly<Record<string, number>>) => void
    /** Stores the reported progress that no fan-out has stored, unless a fan-out is storing now. */
    readonly report: Effect.Effect<Option.Option<Asked>, JobStoreError>
    /** Stores it after the fan-out that is storing now. */
    readonly reportRest: Effect.Effect<Option.Option<Asked>, JobStoreError>
    /** Records one fan-out. `make` is called when its turn has come, so that progress never goes back. */
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

const reporterTo = (units: Map<string, number>, totals: Map<string, number>, noteChange: () => void): Reporter => ({
  addUnsafe: (unit, amount) => {
    Sums.add(units, unit, amount)
    noteChange()
  },
  totalUnsafe: (unit, total) => {
    Sums.put(totals, unit, total)
    noteChange()
  }
})

/**
 * Keeps the number of tallies small, because each flush writes all of them. Beyond that number, one tally has the sum
 * of the fan-outs that have ended without a failure: no retry changes these any more.
 */
const bounded = (tallies: Progress["fanOuts"], ended: ReadonlySet<string>): Progress["fanOuts"] => {
  const all = Object.entries(tallies)
  if (all.length <= Measures.maxFanOuts) return tallies
  const isOver = ([name, { failed }]: readonly [string, Tally]) =>
    name === Measures.others || (failed === 0 && ended.has(name))
  const over = new Progress({ fanOuts: Object.fromEntries(all.filter(isOver)), totals: {}, units: {} })
  return { ...Object.fromEntries(all.filter((one) => !isOver(one))), [Measures.others]: over.tally }
}

export const make = (options: JobRunOptions): Effect.Effect<JobRun["Service"]> =>
  Effect.zipWith(Semaphore.make(1), Clock.Clock, (mutex, clock) => {
    const partial = new Map<string, number>()
    const partials = new Map<unknown, () => ReadonlyMap<string, number>>()
    const totals = new Map<string, number>(Object.entries(options.progress.totals))
    let { progress } = options
    let rates: Readonly<Record<string, number>> = {}
    let isChanged = false
    const noteChange = () => {
      isChanged = true
    }

    const ended = new Set<string>()

    const next = (all: Progress["fanOuts"]): Progress => {
      const fanOuts = bounded(all, ended)
      const sums = Sums.of([
        ...Object.values(fanOuts).map(({ units }) => Object.entries(units)),
        partial,
        ...Array.from(partials.values(), (read) => read())
      ])
      // A task that starts over adds less than before. The progress that people see does not go back.
      for (const [unit, n] of Object.entries(progress.units)) Sums.put(sums, unit, Math.max(n, sums.get(unit) ?? 0))
      const units = Object.fromEntries(sums)
      return new Progress({ fanOuts, totals: Object.fromEntries(totals), units, rates, startedAt: options.startedAt })
    }

    const stored = (after: Progress) =>
      Effect.sync(() => {
        progress = after
      })

    const report = Effect.suspend(() => {
      if (!isChanged) return Effect.succeedNone
      isChanged = false
      const after = next(progress.fanOuts)
      return options.store.beat(options.id, options.token, after).pipe(
        Effect.tap(() => stored(after)),
        Effect.tapError(() => Effect.sync(noteChange))
      )
    })

    return JobRun.of({
      ...options,
      unfinished: new Set(),
      ended,
      times: new TaskTimes(clock),
      partials,
      noteChange,
      latest: () => next(progress.fanOuts),
      show: (name, tally) =>
        mutex.withPermit(Effect.sync(() => {
          progress = next({ ...progress.fanOuts, [name]: tally })
          noteChange()
        })),
      reportRates: (latest) => {
        if (!Equal.equals(latest, rates)) noteChange()
        rates = latest
      },
      reporter: reporterTo(partial, totals, noteChange),
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
            stored(after)
          )
        }))
    })
  })

/** Whether a run has ended an element, also one that had failed before, or moved a unit. */
export const hasGoneOn = ({ latest, progress }: JobRun["Service"]): boolean => {
  const { tally, units } = latest()
  return !Equal.equals(tally, progress.tally) || !Equal.equals(units, progress.units)
}

/** The run of the job whose program runs now. Dies outside of a job. */
export const runOf = (fanOut: string): Effect.Effect<JobRun["Service"]> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const run = Context.getOrUndefined(context, JobRun)
    return run === undefined
      ? Effect.die(new Error(`Fan-out "${fanOut}" was opened outside of a job`))
      : Effect.succeed(run)
  })
