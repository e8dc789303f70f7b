import type { FanOutOptions } from "@fanout/core/FanOut"
import * as JobId from "@fanout/core/JobId"
import { JobStore } from "@fanout/core/JobStore"
import type { Outcome } from "@fanout/core/Outcome"
import type * as Progress from "@fanout/core/Progress"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { asRun, runningJob } from "./fanOutHarness.ts"
import { outcomesOf } from "./FanOutLaws.ts"
import { Act } from "./threadTasks.ts"

/** Acts that come to the same whenever they are run, and wait for no time. */
export const deterministic = [
  "",
  "fails",
  "skips",
  "dies",
  "interrupts",
  "yields",
  "pages",
  "commits",
  "adds around a save",
  "starts over"
] as const

/** Acts in their order, as the source of a fan-out. */
export const sourceOf = (acts: ReadonlyArray<string>) => (after: Option.Option<string>) =>
  Stream.fromIterable(acts.entries()).pipe(
    Stream.drop(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })),
    Stream.map(([n, act]) => ({ _tag: "Item" as const, cursor: String(n), payload: { n, act } }))
  )

/** Which of many defects have a stack depends on which ended first. */
const withoutStack = (outcome: Outcome): Outcome => {
  if (outcome._tag !== "Failed" || outcome.failure._tag !== "Defect") return outcome
  const { message, name } = outcome.failure
  return { _tag: "Failed", failure: { _tag: "Defect", message, ...name === undefined ? {} : { name } } }
}

/** Which of many reasons are counted by their names depends on which ended first. */
const withoutReasons = ({ reasons, ...tally }: Progress.Tally) => ({
  ...tally,
  withReason: Num.sumAll(Object.values(reasons ?? {}))
})

/** What acts come to: the tally, how much they have said there is, and how each of them ended. */
export const outcomeOfActs = (acts: ReadonlyArray<string>, options: FanOutOptions) =>
  Effect.gen(function*() {
    yield* runningJob("acts")
    const { exit } = yield* asRun(
      "acts",
      () => TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("acts", Act, sourceOf(acts), { ...options, keep: "all" }))
    )
    const rows = yield* outcomesOf("acts")
    const { progress } = yield* JobStore.use((store) => store.pulse(JobId.make("acts")))
    return {
      totals: progress.totals,
      tally: Exit.isSuccess(exit) ? withoutReasons(exit.value) : String(exit),
      rows: rows.map(([, { key, outcome }]) => [key, withoutStack(outcome)] as const).toSorted(([a], [b]) =>
        Number(a) - Number(b)
      )
    }
  })
