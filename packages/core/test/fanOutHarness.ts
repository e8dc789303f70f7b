import { Interrupter, makeUnsafe } from "@fanout/core/Interrupter"
import * as JobContext from "@fanout/core/JobContext"
import * as JobId from "@fanout/core/JobId"
import type * as JobState from "@fanout/core/JobState"
import * as JobStore from "@fanout/core/JobStore"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as JobRun from "../src/internal/fanOut/jobRun.ts"
import { make as makeDispatcher } from "../src/internal/job/dispatcher.ts"
import { Signal } from "../src/internal/signal.ts"
import * as Records from "./JobStoreRecords.ts"

/** Puts a running job into the store. */
export const runningJob = (id: string) =>
  Effect.gen(function*() {
    const store = yield* JobStore.JobStore
    const record = yield* store.insert(Records.job(id))
    return yield* store.put(record.with(Records.owned(1)), "claimed")
  })

/** Runs an effect as the program of a job run whose record is stored. */
export const asRun = <A, E, R>(
  id: string,
  effect: (signal: Interrupter) => Effect.Effect<A, E, R>,
  options: {
    readonly attempt?: number
    readonly tries?: number
    readonly only?: JobState.Choice | undefined
    readonly store?: JobStore.JobStore["Service"]
    readonly graceMillis?: number
  } = {}
) =>
  Effect.scoped(Effect.gen(function*() {
    const store = options.store ?? (yield* JobStore.JobStore)
    const signal = makeUnsafe()
    const { progress } = yield* store.pulse(JobId.make(id))
    const run = yield* JobRun.make({
      id: JobId.make(id),
      name: "test",
      version: 1,
      attempt: options.attempt ?? 1,
      tries: options.tries ?? 0,
      only: options.only,
      token: 1,
      store,
      startedAt: 0,
      signal,
      migrations: {},
      progress
    })
    const { dispatcher } = yield* makeDispatcher(signal, options.graceMillis)
    const context = JobContext.JobContext.of({
      id: JobId.make(id),
      name: "test",
      version: 1,
      attempt: 1,
      token: 1,
      scheduled: Option.none(),
      outcomes: () => Stream.empty,
      log: () => Effect.void,
      pause: () => Effect.never
    })
    const exit = yield* Effect.exit(
      effect(signal).pipe(
        Effect.provideService(TaskDispatcher.TaskDispatcher, dispatcher),
        Effect.provideService(JobContext.JobContext, context),
        Effect.provideService(JobRun.JobRun, run),
        Effect.provideService(Interrupter, signal)
      )
    )
    return { exit }
  }))

const members = (signal: Interrupter, chain: "children" | "listeners"): ReadonlyArray<unknown> =>
  Reflect.get(signal, chain)?.toArray() ?? []

/** Signals that are stopped with one. */
export const signalsBelow = (signal: Interrupter): ReadonlyArray<Signal> =>
  members(signal, "children").filter((child) => child instanceof Signal)

/** How many listeners and signals there are below one. */
export const attachedTo = (signal: Interrupter): number =>
  signalsBelow(signal).reduce((sum, child) => sum + 1 + attachedTo(child), members(signal, "listeners").length)

export const pools = Pools.layer({ io: 8, one: 1 })
